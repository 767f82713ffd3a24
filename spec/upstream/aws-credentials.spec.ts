import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAwsIdentity } from '../../lib/upstream/aws-credentials.ts'
import { alice } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'

const { signal } = new AbortController()

test('aws credentials: configured keys are used as they are, and no chain is asked', async () => {
  await withCloud(async ({ deps }) => {
    const chain = () => Promise.reject(new Error('asked'))
    const pair = { aws_access_key_id: 'AKID', aws_secret_access_key: 's' }
    const of = (auth: object) => createAwsIdentity(deps, 'u1', auth, chain)(alice, signal)
    assert.deepEqual(await of(pair), { accessKeyId: 'AKID', secretAccessKey: 's' })
    assert.deepEqual(await of({ ...pair, aws_session_token: 't' }), {
      accessKeyId: 'AKID',
      secretAccessKey: 's',
      sessionToken: 't',
    })
    await assert.rejects(of({}), /asked/)
  })
})

test('aws credentials: the chain is asked once for many requests, and again ahead of the end', async () => {
  const clock = createFakeClock()
  await withCloud(async ({ deps }) => {
    let calls = 0
    const chain = () => {
      const keys = { accessKeyId: `AKID${++calls}`, secretAccessKey: 's' }
      return Promise.resolve({ keys, expiresAt: clock.now() + 3_600_000 })
    }
    const identity = createAwsIdentity({ ...deps, clock }, 'u1', {}, chain)
    const all = await Promise.all(Array.from({ length: 100 }, () => identity(alice, signal)))
    assert.ok(all.every(({ accessKeyId }) => accessKeyId === 'AKID1'))
    await clock.advance(56 * 60_000)
    await identity(alice, signal)
    await clock.advance(0)
    assert.equal((await identity(alice, signal)).accessKeyId, 'AKID2')
    assert.equal(calls, 2)
  })
})

/** Runs `work` with these variables as all of the environment that speaks of AWS. */
async function withEnvironment(
  variables: Readonly<Record<string, string>>,
  work: () => Promise<void>,
): Promise<void> {
  const before = { ...process.env }
  for (const name in process.env) if (name.startsWith('AWS_')) delete process.env[name]
  Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true' }, variables)
  try {
    await work()
  } finally {
    for (const name in process.env) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

test('aws credentials: the default chain finds the environment', async () => {
  const variables = { AWS_ACCESS_KEY_ID: 'AKIDENV', AWS_SECRET_ACCESS_KEY: 'env-secret' }
  await withEnvironment({ ...variables, AWS_SESSION_TOKEN: 'tok' }, () =>
    withCloud(async ({ deps }) => {
      assert.deepEqual(await createAwsIdentity(deps, 'u1', {})(alice, signal), {
        accessKeyId: 'AKIDENV',
        secretAccessKey: 'env-secret',
        sessionToken: 'tok',
      })
    }),
  )
})

test('aws credentials: the default chain finds the role of a container, asked for once', async () => {
  const role = await createFakeUpstream()
  role.always({
    body: JSON.stringify({
      AccessKeyId: 'ASIACONTAINER',
      SecretAccessKey: 'container-secret',
      Token: 'tok',
      Expiration: new Date(Date.now() + 3_600_000).toISOString(),
    }),
  })
  const variables = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${role.url}/role` }
  await withEnvironment(variables, () =>
    withCloud(async ({ deps }) => {
      const identity = createAwsIdentity(deps, 'u1', {})
      for (let i = 0; i < 5; i++) {
        assert.equal((await identity(alice, signal)).accessKeyId, 'ASIACONTAINER')
      }
      assert.equal(role.requests.length, 1)
    }),
  )
  await role.close()
})

test('aws credentials: a source that hangs is a failure after a while, not a hang', async () => {
  const clock = createFakeClock()
  await withCloud(async ({ deps }) => {
    const never = () => new Promise<never>(() => {})
    const asked = createAwsIdentity({ ...deps, clock }, 'u1', {}, never)(alice, signal)
    const outcome = assert.rejects(asked, /AWS credentials of u1 timed out/)
    await clock.advance(10_000)
    await outcome
  })
})

test('aws credentials: keys without an end are looked for again within a quarter of an hour', async () => {
  const clock = createFakeClock()
  const variables = { AWS_ACCESS_KEY_ID: 'AKIDOLD', AWS_SECRET_ACCESS_KEY: 'old' }
  await withEnvironment(variables, () =>
    withCloud(async ({ deps }) => {
      const identity = createAwsIdentity({ ...deps, clock }, 'u1', {})
      assert.equal((await identity(alice, signal)).accessKeyId, 'AKIDOLD')
      process.env['AWS_ACCESS_KEY_ID'] = 'AKIDNEW'
      assert.equal((await identity(alice, signal)).accessKeyId, 'AKIDOLD')
      await clock.advance(15 * 60_000)
      assert.equal((await identity(alice, signal)).accessKeyId, 'AKIDNEW')
    }),
  )
})
