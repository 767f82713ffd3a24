import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, beforeEach, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import { createKeyLookup, verifySignature } from '../../lib/identity/provider-keys.ts'

let served: readonly JWK[] = []
let status = 200
let asked = 0
const server = createServer((_, response) => {
  asked++
  response.writeHead(status).end(JSON.stringify({ keys: served }))
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
after(() => {
  server.closeAllConnections()
  server.close()
})
const address = server.address()
const jwks_uri = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/jwks`

async function makeKey(kid: string): Promise<{ key: CryptoKey; jwk: JWK; kid: string }> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  return { key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid }, kid }
}
const first = await makeKey('k1')
const second = await makeKey('k2')
const sign = ({ key, kid }: { key: CryptoKey; kid: string }): Promise<string> =>
  new SignJWT({ sub: 'u' }).setProtectedHeader({ alg: 'ES256', kid }).sign(key)

beforeEach(() => {
  served = [first.jwk]
  status = 200
  asked = 0
})

test('provider keys: they are fetched when first needed, and once', async () => {
  const keys = createKeyLookup(jwks_uri, fetch)
  assert.equal(asked, 0)
  const token = await sign(first)
  const verified = await Promise.all([1, 2, 3].map(() => verifySignature(token, 'ES256', keys)))
  assert.ok(verified.every(({ ok }) => ok))
  assert.equal(asked, 1)
})

test('provider keys: a made-up key id does not make us hammer the provider', async () => {
  const keys = createKeyLookup(jwks_uri, fetch)
  await verifySignature(await sign(first), 'ES256', keys)
  for (let tries = 0; tries < 5; tries++) {
    const outcome = await verifySignature(
      await sign({ ...second, kid: `x${tries}` }),
      'ES256',
      keys,
    )
    assert.equal(outcome.ok, false)
  }
  assert.equal(asked, 1, 'within the cool-down nothing is fetched again')
})

test('provider keys: after the cool-down a new key is picked up at once', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const keys = createKeyLookup(jwks_uri, fetch)
  await verifySignature(await sign(first), 'ES256', keys)
  served = [first.jwk, second.jwk]
  t.mock.timers.tick(31_000)
  const outcome = await verifySignature(await sign(second), 'ES256', keys)
  assert.equal(outcome.ok, true)
  assert.equal(asked, 2)
})

test('provider keys: a removed key is forgotten within ten minutes', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const keys = createKeyLookup(jwks_uri, fetch)
  const token = await sign(first)
  assert.equal((await verifySignature(token, 'ES256', keys)).ok, true)
  served = [second.jwk]
  t.mock.timers.tick(600_000)
  assert.equal((await verifySignature(token, 'ES256', keys)).ok, false)
})

test('provider keys: keys that cannot be had are an outage, not a refusal', async () => {
  status = 500
  const keys = createKeyLookup(jwks_uri, fetch)
  const outcome = await verifySignature(await sign(first), 'ES256', keys)
  assert.ok(!outcome.ok)
  assert.equal(outcome.failure.refused, false)
  assert.match(outcome.failure.reason, /^jwks_uri: /)
  status = 200
  assert.equal((await verifySignature(await sign(first), 'ES256', keys)).ok, true, 'recovers')
})
