import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import {
  createDefaultGoogleTokens,
  createServiceAccountTokens,
} from '../../lib/upstream/google-credentials.ts'
import { createFakeUpstream, type FakeUpstream } from '../support/fake-upstream.ts'
import { createServiceAccount, type ServiceAccount } from '../support/service-account.ts'

const server = await createFakeUpstream()
const egress = createEgress({ allowLoopback: true, clock: systemClock })
after(async () => {
  await egress.close()
  await server.close()
})

const never = new AbortController().signal
const tokenUrl = `${server.url}/token`
const deps = { egress, clock: systemClock }

async function withAccount(work: (account: ServiceAccount) => Promise<void>): Promise<void> {
  const account = createServiceAccount('gw@proj-lab.iam.gserviceaccount.com')
  try {
    await work(account)
  } finally {
    account.remove()
  }
}

/** The form of the newest request. */
function lastForm({ requests }: FakeUpstream): URLSearchParams {
  return new URLSearchParams(requests.at(-1)?.body.toString())
}

test('google credentials: a service account signs an assertion for an hour (F188)', async () => {
  await withAccount(async ({ path, read }) => {
    server.always({ body: '{"access_token":"ya29.sa","expires_in":3599}' })
    const before = Math.floor(Date.now() / 1000)
    const token = await createServiceAccountTokens(deps, path, tokenUrl)(never)
    assert.equal(token.value, 'ya29.sa')
    assert.ok(token.expiresAt > Date.now() + 3_500_000)
    const form = lastForm(server)
    assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
    const assertion = read(form.get('assertion') ?? '')
    assert.deepEqual(assertion?.header, { alg: 'RS256' })
    const { iat, exp, ...claims } = assertion.claims as { iat: number; exp: number }
    assert.ok(iat >= before && iat <= before + 60)
    assert.equal(exp, iat + 3600)
    assert.deepEqual(claims, {
      iss: 'gw@proj-lab.iam.gserviceaccount.com',
      scope: 'https://www.googleapis.com/auth/cloud-platform',
      aud: tokenUrl,
    })
  })
})

test("google credentials: the assertion goes to Google's own address, whatever the file says", async () => {
  await withAccount(async ({ path }) => {
    const asked: string[] = []
    const recording = {
      ...egress,
      fetch: (input: string | URL | Request) => {
        asked.push(input instanceof Request ? input.url : String(input))
        return Promise.resolve(Response.json({ access_token: 'at', expires_in: 60 }))
      },
    }
    await createServiceAccountTokens({ ...deps, egress: recording }, path)(never)
    assert.deepEqual(asked, ['https://oauth2.googleapis.com/token'])
  })
})

test('google credentials: a rotated key file counts for the next token', async () => {
  await withAccount(async (account) => {
    server.always({ body: '{"access_token":"at","expires_in":3599}' })
    const source = createServiceAccountTokens(deps, account.path, tokenUrl)
    await source(never)
    account.rotate('other@proj-lab.iam.gserviceaccount.com')
    await source(never)
    const assertion = account.read(lastForm(server).get('assertion') ?? '')
    assert.equal(
      Reflect.get(Object(assertion?.claims), 'iss'),
      'other@proj-lab.iam.gserviceaccount.com',
    )
  })
})

test('google credentials: a refused assertion is a failure with its reason', async () => {
  await withAccount(async ({ path }) => {
    server.always({ status: 400, body: '{"error":"invalid_grant"}' })
    const told = createServiceAccountTokens(deps, path, tokenUrl)(never)
    await assert.rejects(told, /answered 400: .*invalid_grant/)
  })
})

test('google credentials: a file that is no key is a failure that does not quote it', async () => {
  await withAccount(async ({ path }) => {
    const asked = server.requests.length
    for (const text of ['', '{"client_email":"secret"}', 'secret', '[]', 'null']) {
      writeFileSync(path, text)
      const told = createServiceAccountTokens(deps, path, tokenUrl)(never)
      await assert.rejects(told, { message: `${path} is not the key file of a service account` })
    }
    writeFileSync(path, '{"client_email":"a","private_key":"secret"}')
    await assert.rejects(
      createServiceAccountTokens(deps, path, tokenUrl)(never),
      (error: Error) => {
        assert.doesNotMatch(error.message, /secret/)
        return true
      },
    )
    const missing = createServiceAccountTokens(deps, `${path}.missing`, tokenUrl)(never)
    await assert.rejects(missing, /ENOENT/)
    assert.equal(server.requests.length, asked)
  })
})

test('google credentials: the default ones come from the metadata server of the machine', async () => {
  process.env['GCE_METADATA_HOST'] = server.url.replace('http://', '')
  process.env['METADATA_SERVER_DETECTION'] = 'assume-present'
  delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  // Where the library looks for a developer's own credentials.
  process.env['HOME'] = '/nonexistent'
  let tokens = 0
  server.always(({ url }) => ({
    headers: ['metadata-flavor', 'Google', 'content-type', 'application/json'],
    body: url.includes('/token') ? JSON.stringify(metadataToken(++tokens)) : '"x"',
  }))
  const source = createDefaultGoogleTokens()
  const token = await source(never)
  assert.equal(token.value, 'ya29.meta1')
  assert.ok(Math.abs(token.expiresAt - Date.now() - 3_599_000) < 60_000, String(token.expiresAt))
  const asked = server.requests.at(-1)
  assert.equal(
    asked?.url,
    '/computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform',
  )
  assert.equal(asked.headers['metadata-flavor'], 'Google')
  // The cache decides when a token is due, not the library.
  assert.equal((await source(never)).value, 'ya29.meta2')
})

function metadataToken(number: number): object {
  return { access_token: `ya29.meta${number}`, expires_in: 3599, token_type: 'Bearer' }
}
