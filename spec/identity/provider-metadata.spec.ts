import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createMetadataSource,
  discoveryUrl,
  parseMetadata,
  type MetadataSource,
} from '../../lib/identity/provider-metadata.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createRecorder, type Recorder } from '../support/recorder.ts'

const document = {
  issuer: 'https://idp.example.com',
  authorization_endpoint: 'https://idp.example.com/auth',
  token_endpoint: 'https://idp.example.com/token',
  jwks_uri: 'https://idp.example.com/jwks',
}
const hourMs = 3_600_000

function sourceOf(issuer: string): {
  source: MetadataSource
  clock: ReturnType<typeof createFakeClock>
  recorder: Recorder
} {
  const clock = createFakeClock()
  const recorder = createRecorder()
  const url = discoveryUrl(issuer, undefined)
  return { source: createMetadataSource(url, fetch, clock, recorder.log), clock, recorder }
}

test('provider metadata: the document lies below the issuer unless another place is named', () => {
  const place = 'https://idp.example.com/t/.well-known/openid-configuration'
  assert.equal(discoveryUrl('https://idp.example.com/t', undefined), place)
  assert.equal(discoveryUrl('https://idp.example.com/t/', undefined), place)
  assert.equal(discoveryUrl('https://a', 'https://b/.well-known/x'), 'https://b/.well-known/x')
})

test('provider metadata: what is used is read, the rest is dropped', () => {
  const parsed = parseMetadata({
    ...document,
    userinfo_endpoint: 'https://idp.example.com/me',
    scopes_supported: ['openid', 5],
    authorization_response_iss_parameter_supported: true,
    extra: {},
  })
  assert.equal(parsed.userinfo_endpoint, 'https://idp.example.com/me')
  assert.deepEqual(parsed.scopes_supported, ['openid'])
  assert.equal(parsed.token_endpoint_auth_methods_supported, undefined)
  assert.equal(parsed.authorization_response_iss_parameter_supported, true)
  assert.equal('extra' in parsed, false)
})

test('provider metadata: a missing or odd endpoint is named', () => {
  for (const field of ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'issuer']) {
    assert.throws(() => parseMetadata({ ...document, [field]: undefined }), new RegExp(field))
  }
  for (const odd of ['not a url', 'javascript:alert(1)', 'file:///etc/passwd', '/relative']) {
    assert.throws(
      () => parseMetadata({ ...document, token_endpoint: odd }),
      /token_endpoint is not an http URL/,
    )
  }
})

test('provider metadata: it is fetched once, however many ask at once', async (t) => {
  const provider = await startIdentityProvider(t)
  const { source } = sourceOf(provider.issuer)
  const all = await Promise.all(Array.from({ length: 10 }, () => source.get()))
  assert.equal(new Set(all).size, 1)
  assert.equal(all[0]?.issuer, provider.issuer)
  await source.get()
  assert.equal(provider.requests('discovery').length, 1)
})

test('provider metadata: after an hour it is fetched again, without anybody waiting', async (t) => {
  const provider = await startIdentityProvider(t)
  const { source, clock } = sourceOf(provider.issuer)
  const first = await source.get()
  await clock.advance(hourMs)
  provider.misbehave('discovery', { kind: 'hang' })
  assert.equal(await source.get(), first, 'the known document, at once')
  assert.equal(await source.get(), first)
})

test('provider metadata: a failed reload keeps the old one, warns, and waits a minute', async (t) => {
  const provider = await startIdentityProvider(t)
  const { source, clock, recorder } = sourceOf(provider.issuer)
  const first = await source.get()
  provider.misbehave('discovery', { kind: 'answer', status: 500, body: 'no' })
  await clock.advance(hourMs)
  for (const again of [1, 2, 3]) assert.equal(await source.get(), first, `visitor ${again}`)
  await eventually(() => recorder.lines.length > 0)
  assert.equal(recorder.lines.length, 1, 'one warning, however many asked')
  assert.match(
    recorder.lines[0] ?? '',
    /^warn oidc: discovery at .* failed: expected 200 OK, got: 500; going on/,
  )
  const asked = provider.requests('discovery').length
  await source.get()
  assert.equal(provider.requests('discovery').length, asked)
  provider.misbehave('discovery', null)
  await clock.advance(60_000)
  await source.get()
  await eventually(() => provider.requests('discovery').length > asked)
})

test('provider metadata: at boot a failure says where and why, in one line', async (t) => {
  const provider = await startIdentityProvider(t)
  const { source } = sourceOf(provider.issuer)
  provider.misbehave('discovery', { kind: 'answer', status: 404, body: '{}' })
  await assert.rejects(
    source.load(),
    /^Error: oidc: discovery at http:\S+ failed: expected 200 OK, got: 404$/,
  )
  provider.misbehave('discovery', { kind: 'answer', status: 200, body: '<html>' })
  await assert.rejects(source.load(), /the answer is not a JSON object/)
  provider.misbehave('discovery', { kind: 'answer', status: 200, body: '{}' })
  await assert.rejects(source.load(), /the document has no issuer/)
  provider.misbehave('discovery', { kind: 'reset' })
  await assert.rejects(source.load(), /discovery at .* failed/)
  provider.misbehave('discovery', null)
  assert.equal((await source.load()).issuer, provider.issuer)
})

test('provider metadata: a provider that hangs at boot is given up after ten seconds', async (t) => {
  const provider = await startIdentityProvider(t)
  const { source, clock } = sourceOf(provider.issuer)
  provider.misbehave('discovery', { kind: 'hang' })
  const loading = assert.rejects(source.load(), /OIDC discovery timed out after 10000 ms/)
  await clock.advance(10_000)
  await loading
})

/** Background work has no promise to wait for. */
async function eventually(condition: () => boolean): Promise<void> {
  const until = Date.now() + 10_000
  while (!condition()) {
    assert.ok(Date.now() < until, 'waited ten seconds in vain')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
