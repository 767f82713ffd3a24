import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadlineExceeded } from '../../lib/kernel/abort.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import {
  type AssumeRole,
  createAssumedIdentity,
  nameSession,
} from '../../lib/upstream/aws-assume-role.ts'
import { createAwsIdentity, type AwsIdentity } from '../../lib/upstream/aws-credentials.ts'
import type { ProviderDeps } from '../../lib/upstream/upstream.ts'
import { alice } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'
import { createFakeSts, type FakeSts, ownKeys, refusal } from '../support/fake-sts.ts'

const role: AssumeRole = { role_arn: 'arn:aws:iam::1:role/r' }
const { signal } = new AbortController()
const bob: Caller = { ...alice, sub: 'u-bob', email: 'bob@example.com' }

interface Bench {
  readonly sts: FakeSts
  readonly clock: FakeClock
  readonly create: (changes?: Partial<AssumeRole>) => AwsIdentity
  readonly deps: ProviderDeps
}

async function withSts(work: (bench: Bench) => Promise<void>): Promise<void> {
  const clock = createFakeClock(Date.now())
  const sts = await createFakeSts()
  await withCloud(async (cloud) => {
    const deps = { ...cloud.deps, clock, stsUrl: sts.url }
    const own = createAwsIdentity(deps, 'u1', ownKeys)
    const create: Bench['create'] = (changes) =>
      createAssumedIdentity(deps, 'u1', 'us-east-1', { ...role, ...changes }, own)
    await work({ sts, clock, create, deps })
  })
  await sts.close()
}

test('role: STS is asked for an hour of it, in the session all share (F193)', async () => {
  await withSts(async ({ sts, create }) => {
    const identity = create({ external_id: 'ext-1' })
    assert.deepEqual(await identity(alice, signal), {
      accessKeyId: 'ASIA1',
      secretAccessKey: 'secret-1',
      sessionToken: 'token/1==',
    })
    assert.deepEqual(Object.fromEntries(sts.calls[0] ?? []), {
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: 'arn:aws:iam::1:role/r',
      RoleSessionName: 'claude-apps-gateway',
      DurationSeconds: '3600',
      ExternalId: 'ext-1',
    })
    assert.equal((await identity(bob, signal)).accessKeyId, 'ASIA1')
    assert.equal(sts.calls.length, 1)
  })
})

test('role: each developer has a session, asked for once whoever is first (F194 B031)', async () => {
  await withSts(async ({ sts, create }) => {
    const identity = create({ session_name: 'email' })
    const keys = await Promise.all(
      Array.from({ length: 50 }, (_, i) => identity(i % 2 === 0 ? alice : bob, signal)),
    )
    assert.equal(new Set(keys.map(({ accessKeyId }) => accessKeyId)).size, 2)
    assert.deepEqual(sts.calls.map((call) => String(call.get('RoleSessionName'))).toSorted(), [
      'alice@example.com',
      'bob@example.com',
    ])
  })
})

test('role: keys are renewed ahead of their end, and used until then when STS is away', async () => {
  await withSts(async ({ sts, clock, create }) => {
    const identity = create({ session_name: 'sub' })
    assert.equal((await identity(alice, signal)).accessKeyId, 'ASIA1')
    await clock.advance(56 * 60_000)
    sts.next(refusal('AccessDenied'))
    assert.equal((await identity(alice, signal)).accessKeyId, 'ASIA1')
    await settle(clock)
    await clock.advance(2_000)
    assert.equal((await identity(alice, signal)).accessKeyId, 'ASIA1')
    await settle(clock)
    assert.equal((await identity(alice, signal)).accessKeyId, 'ASIA2')
  })
})

test('role: a refusal says why; the own keys are not used instead (F195)', async () => {
  await withSts(async ({ sts, clock, create }) => {
    sts.next(refusal('AccessDenied'))
    const identity = create()
    await assert.rejects(
      identity(alice, signal),
      /^Error: STS refused the role: 403 AccessDenied not authorized to assume it$/,
    )
    await clock.advance(2_000)
    assert.equal((await identity(alice, signal)).accessKeyId, 'ASIA1')
  })
})

test('role: an answer without keys, one cut short, or none at all is a failure', async () => {
  await withSts(async ({ sts, clock, create }) => {
    const identity = create()
    sts.next({ body: '<AssumeRoleResponse/>' }, { body: ['<Assume', { ending: 'reset' }] })
    await assert.rejects(identity(alice, signal), /STS answered without credentials/)
    await clock.advance(2_000)
    await assert.rejects(identity(alice, signal), /ECONNRESET/)
    await clock.advance(2_000)
    sts.next({ fault: 'stall-before-head' })
    const asked = assert.rejects(identity(alice, signal), DeadlineExceeded)
    await settle(clock)
    await clock.advance(10_000)
    await asked
  })
})

test('role: without own keys STS is not asked', async () => {
  await withSts(async ({ sts, deps }) => {
    const own: AwsIdentity = () => Promise.reject(new Error('no keys of our own'))
    const identity = createAssumedIdentity(deps, 'u1', 'us-east-1', role, own)
    await assert.rejects(identity(alice, signal), /no keys of our own/)
    assert.equal(sts.calls.length, 0)
  })
})

test('role: STS has an address in each region', async () => {
  await withCloud(async (cloud) => {
    const sent: string[] = []
    const egress: Egress = {
      ...cloud.deps.egress,
      fetch(input) {
        sent.push(input instanceof Request ? input.url : String(input))
        return Promise.reject(new Error('offline'))
      },
    }
    const deps = { ...cloud.deps, egress }
    const own = createAwsIdentity(deps, 'u1', ownKeys)
    const identity = createAssumedIdentity(deps, 'u1', 'us-gov-west-1', role, own)
    await assert.rejects(identity(alice, signal), /offline/)
    assert.deepEqual(sent, ['https://sts.us-gov-west-1.amazonaws.com/'])
  })
})

test('session name: one for all, or the claim as it is where STS takes its characters', () => {
  assert.equal(nameSession(undefined, alice), 'claude-apps-gateway')
  assert.equal(nameSession('email', alice), 'alice@example.com')
  assert.equal(nameSession('sub', alice), 'u-alice')
  assert.equal(nameSession('sub', { ...alice, sub: 'a_B+9,.@-' }), 'a_B+9,.@-')
})

test('session name: any other character is written as its bytes (F194)', () => {
  const named = (sub: string): string => nameSession('sub', { ...alice, sub })
  assert.equal(named('a|b c=d'), 'a=7Cb=20c=3Dd')
  assert.equal(named('ü/😀'), '=C3=BC=2F=F0=9F=98=80')
  assert.equal(named('a\uD800'), 'a=EF=BF=BD')
})

test('session name: what is too long or too short ends in a digest of its own (F194)', () => {
  const named = (sub: string): string => nameSession('sub', { ...alice, sub })
  const long = 'x'.repeat(64)
  assert.equal(named(long), long)
  for (const sub of [`${long}y`, `${long}z`, 'ü'.repeat(40), 'a']) {
    assert.match(named(sub), /^[A-Za-z0-9_+=,.@-]{2,64}$/, sub)
  }
  assert.notEqual(named(`${long}y`), named(`${long}z`))
  assert.match(named(`${long}y`), /^x{47}-[0-9a-f]{16}$/)
})

test('session name: a missing claim is said with what to do about it (F196)', () => {
  const nameless = { ...alice, email: undefined }
  assert.throws(
    () => nameSession('email', nameless),
    /session_name is email, which the identity provider does not send for u-alice: request the email claim, or set session_name: sub/,
  )
})

/** Lets real sockets answer while the clock stands still. */
async function settle(clock: FakeClock): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await clock.advance(0)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
