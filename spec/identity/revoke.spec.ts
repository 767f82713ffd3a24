import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { makeExchange } from '../support/exchange.ts'
import { startBench, type CalledReply, type Gateway } from '../support/sign-in.ts'

const bench = await startBench({ after })
const { provider } = bench
afterEach(() => provider.misbehave('revocation', null))

let seconds = 0

async function revoking(change: Partial<typeof bench.revocation> = {}): Promise<Gateway> {
  const gateway = bench.gateway({ deps: { revocation: { ...bench.revocation, ...change } } })
  // Sessions of one person and one second are the same token; each test has seconds of its own.
  await gateway.clock.advance((seconds += 10) * 1000)
  await gateway.identity.start()
  after(() => gateway.identity.close())
  return gateway
}

const revoke = (gateway: Gateway, fields: Record<string, string>): Promise<CalledReply> =>
  gateway.call('revoke', {
    method: 'POST',
    requestId: 'r-1',
    body: new URLSearchParams(fields).toString(),
  })

const use = async (gateway: Gateway, token: unknown): Promise<string> => {
  const headers = { authorization: `Bearer ${String(token)}` }
  return (await gateway.identity.authenticate(makeExchange({ headers }))).sub
}

test('revoke: a session that is given back is over, also where it was remembered', async () => {
  const gateway = await revoking()
  const { access_token } = await gateway.signIn()
  assert.equal(await use(gateway, access_token), 'u-mara')
  const reply = await revoke(gateway, { token: String(access_token) })
  assert.equal(reply.status, 200)
  assert.equal(reply.text, '')
  assert.equal(reply.header('cache-control'), 'no-store')
  await assert.rejects(use(gateway, access_token), { code: 'session/invalid-token' })
  assert.equal(
    gateway.recorder.lastAudit('session.revoke'),
    '{"request_id":"r-1","result":"success","token":"session","sub":"u-mara","client_ip":"192.0.2.1"}',
  )
})

test('revoke: another way to write the signature does not bring the session back', async () => {
  const gateway = await revoking()
  const { access_token } = await gateway.signIn()
  const token = String(access_token)
  await revoke(gateway, { token })
  // The last of 43 characters carries two bits that no signature uses.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(token.slice(-1))
  for (const twin of [0, 1, 2, 3].map((bits) => alphabet[(last & ~3) | bits])) {
    await assert.rejects(use(gateway, `${token.slice(0, -1)}${twin}`), {
      code: 'session/invalid-token',
    })
  }
})

test('revoke: other sessions of the same person go on', async () => {
  const gateway = await revoking()
  const one = await gateway.signIn()
  await gateway.clock.advance(1000)
  const other = await gateway.signIn()
  await revoke(gateway, { token: String(one['access_token']) })
  assert.equal(await use(gateway, other['access_token']), 'u-mara')
})

test('revoke: a refresh token is given back to the provider, and works no more', async () => {
  const gateway = await revoking()
  const { refresh_token } = await gateway.signIn()
  const fields = { token: String(refresh_token), token_type_hint: 'refresh_token' }
  assert.equal((await revoke(gateway, fields)).status, 200)
  assert.equal(provider.requests('revocation').at(-1)?.form.get('token'), refresh_token)
  assert.equal((await gateway.refresh(String(refresh_token))).status, 401)
  assert.match(
    gateway.recorder.lastAudit('session.revoke') ?? '',
    /"token":"refresh_token","client_ip"/,
  )
})

test('revoke: unknown tokens are fine, and ours never reach the provider', async () => {
  const gateway = await revoking()
  assert.equal((await revoke(gateway, { token: 'unknown' })).status, 200)
  const asked = provider.requests('revocation').length
  const { access_token } = await gateway.signIn()
  const token = String(access_token)
  assert.equal((await revoke(gateway, { token: `${token.slice(0, -5)}AAAAA` })).status, 200)
  await gateway.clock.advance(3_700_000)
  assert.equal((await revoke(gateway, { token })).status, 200)
  assert.equal(provider.requests('revocation').length, asked)
})

test('revoke: without a token it is no request', async () => {
  const gateway = await revoking()
  for (const fields of [{}, { token: '' }, { token_type_hint: 'refresh_token' }]) {
    const reply = await revoke(gateway, fields)
    assert.equal(reply.status, 400)
    assert.equal(reply.text, '{"error":"invalid_request"}')
  }
  const json = await gateway.call('revoke', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"token":"x"}',
  })
  assert.equal(json.text, '{"error":"invalid_request"}')
})

test('revoke: what cannot be kept is not promised: 503, and the session goes on', async () => {
  const transaction = (): Promise<never> => Promise.reject(new GatewayError('store/unavailable'))
  const gateway = await revoking({ store: { ...bench.revocation.store, transaction } })
  const { access_token } = await gateway.signIn()
  const reply = await revoke(gateway, { token: String(access_token) })
  assert.equal(reply.status, 503)
  assert.equal(reply.text, '{"error":"temporarily_unavailable"}')
  assert.equal(reply.header('retry-after'), '5')
  assert.equal(await use(gateway, access_token), 'u-mara')
  assert.equal(
    gateway.recorder.lastAudit('session.revoke'),
    '{"request_id":"r-1","result":"fail","token":"session","sub":"u-mara","client_ip":"192.0.2.1","err":"store unavailable"}',
  )
})

test('revoke: a provider in trouble is 503 as well', async () => {
  const gateway = await revoking()
  provider.misbehave('revocation', { kind: 'reset' })
  const reply = await revoke(gateway, { token: 'a-refresh-token' })
  assert.equal(reply.status, 503)
  assert.match(gateway.recorder.lines.join('\n'), /^warn revocation failed request_id=r-1: /m)
  assert.match(gateway.recorder.lastAudit('session.revoke') ?? '', /"result":"fail"/)
  assert.doesNotMatch(JSON.stringify(gateway.recorder), /a-refresh-token/)
})

test('revoke: a gateway that keeps no list neither offers nor pretends it', async () => {
  const gateway = bench.gateway()
  const { access_token } = await gateway.signIn()
  assert.equal((await revoke(gateway, { token: String(access_token) })).status, 503)
  const { json } = await gateway.call('discovery')
  assert.equal('revocation_endpoint' in json, false)
})

test('revoke: it is advertised behind the token endpoint once the list is loaded', async () => {
  const gateway = await revoking()
  const { json } = await gateway.call('discovery')
  assert.deepEqual(Object.keys(json).slice(2, 5), [
    'token_endpoint',
    'revocation_endpoint',
    'grant_types_supported',
  ])
  assert.equal(json['revocation_endpoint'], 'https://gw.example.com/oauth/revoke')
})
