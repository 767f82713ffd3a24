import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  SignJWT,
  UnsecuredJWT,
  type CryptoKey,
  type JSONWebKeySet,
} from 'jose'
import { checkClaims, verifyIdToken, type IdTokenRules } from '../../lib/identity/id-token.ts'
import type { KeyLookup } from '../../lib/identity/provider-keys.ts'

const now = 1_795_000_000
const issuer = 'https://idp.example.com'
const rules: IdTokenRules = {
  issuer,
  client_id: 'gw',
  additional_authorized_parties: ['partner'],
  clock_skew_seconds: 0,
  id_token_signed_response_alg: 'RS256',
  nonce: 'n-1',
}
const good = { iss: issuer, sub: 'u', aud: 'gw', exp: now + 60, iat: now, nonce: 'n-1' }

test('id_token: claims that meet every rule have no problem', () => {
  assert.equal(checkClaims(good, rules, now), null)
})

const fine: readonly [string, Record<string, unknown>, Partial<IdTokenRules>?][] = [
  ['iat in the future', { iat: now + 500 }],
  ['several audiences with our azp', { aud: ['gw', 'x'], azp: 'gw' }],
  ['an azp on the operator’s list', { azp: 'partner' }],
  ['one audience as a list, without azp', { aud: ['gw'] }],
  ['nbf of this second', { nbf: now }],
  ['an expiry inside the skew', { exp: now - 5 }, { clock_skew_seconds: 6 }],
  ['nbf inside the skew', { nbf: now + 5 }, { clock_skew_seconds: 5 }],
  ['a nonce nobody asked for', { nonce: 'whatever' }, { nonce: undefined }],
]
for (const [what, claims, change = {}] of fine) {
  test(`id_token: accepts ${what}`, () => {
    assert.equal(checkClaims({ ...good, ...claims }, { ...rules, ...change }, now), null)
  })
}

const bad: readonly [string, Record<string, unknown>, RegExp, Partial<IdTokenRules>?][] = [
  [
    'a wrong issuer',
    { iss: 'https://evil' },
    /^unexpected iss value, expected .*, got: https:\/\/evil$/,
  ],
  ['an issuer with a slash more', { iss: `${issuer}/` }, /^unexpected iss value/],
  ['no sub', { sub: undefined }, /^missing required JWT property sub$/],
  ['an empty sub', { sub: '' }, /^missing required JWT property sub$/],
  ['no exp', { exp: undefined }, /^missing required JWT property exp$/],
  ['an exp that is text', { exp: '1' }, /^missing required JWT property exp$/],
  ['no iat', { iat: undefined }, /^missing required JWT property iat$/],
  ['a wrong audience', { aud: 'x' }, /^aud mismatch, expected gw, got: x$/],
  ['no audience', { aud: undefined }, /^aud mismatch/],
  ['several audiences without azp', { aud: ['gw', 'x'] }, /^missing required JWT property azp$/],
  ['a foreign azp', { azp: 'x' }, /^azp mismatch, got: x$/],
  ['an azp that is no text', { azp: ['gw'] }, /^azp mismatch/],
  ['an expired token', { exp: now - 1 }, /^JWT expired, now 1795000000, exp 1794999999$/],
  ['the second of expiry', { exp: now }, /^JWT expired/],
  ['an expiry just outside the skew', { exp: now - 5 }, /^JWT expired/, { clock_skew_seconds: 5 }],
  ['nbf in the future', { nbf: now + 1 }, /^JWT not active yet, now 1795000000, nbf 1795000001$/],
  ['nbf that is text', { nbf: 'x' }, /^JWT not active yet/],
  ['a wrong nonce', { nonce: 'n-2' }, /^nonce mismatch, expected n-1, got: n-2$/],
  ['no nonce', { nonce: undefined }, /^nonce mismatch, expected n-1, got: undefined$/],
]
for (const [what, claims, reason, change = {}] of bad) {
  test(`id_token: refuses ${what}`, () => {
    assert.match(checkClaims({ ...good, ...claims }, { ...rules, ...change }, now) ?? '', reason)
  })
}

interface Signer {
  readonly alg: string
  readonly kid: string
  readonly key: CryptoKey
}

async function signer(alg: string, kid: string): Promise<Signer & { jwk: object }> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, kid, key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } }
}

function sign(
  { alg, kid, key }: Signer,
  claims: object = {},
  header: object = {},
): Promise<string> {
  return new SignJWT({ ...good, ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(key)
}

function lookup(...keys: readonly object[]): KeyLookup {
  const set: JSONWebKeySet = { keys: keys.map((key) => ({ kty: 'RSA', ...key })) }
  return createLocalJWKSet(set)
}

const verify = async (
  token: string,
  keys: KeyLookup,
  change: Partial<IdTokenRules> = {},
): Promise<string> => {
  const outcome = await verifyIdToken(token, { ...rules, ...change }, keys, now * 1000)
  if (outcome.ok) return `signed in as ${String(outcome.value['sub'])}`
  assert.equal(outcome.failure.step, 'token_endpoint')
  return `${outcome.failure.refused ? 'refused' : 'unavailable'}: ${outcome.failure.reason}`
}

const rsa = await signer('RS256', 'k1')

test('id_token: a token signed by the provider signs in', async () => {
  assert.equal(await verify(await sign(rsa), lookup(rsa.jwk)), 'signed in as u')
})

test('id_token: the configured algorithm is the only one', async () => {
  const ec = await signer('ES256', 'e1')
  const token = await sign(ec)
  assert.match(
    await verify(token, lookup(ec.jwk)),
    /unexpected JWT alg received, expected RS256, got: ES256/,
  )
  assert.equal(
    await verify(token, lookup(ec.jwk), { id_token_signed_response_alg: 'ES256' }),
    'signed in as u',
  )
})

for (const alg of ['RS512', 'PS256', 'ES384', 'EdDSA']) {
  test(`id_token: ${alg} works when it is configured`, async () => {
    const other = await signer(alg, 'o')
    const answer = await verify(await sign(other), lookup(other.jwk), {
      id_token_signed_response_alg: alg,
    })
    assert.equal(answer, 'signed in as u')
  })
}

test('id_token: no signature, or one with the public key as a shared secret, is refused', async () => {
  const none = new UnsecuredJWT(good).encode()
  assert.match(
    await verify(none, lookup(rsa.jwk)),
    /^refused: unexpected JWT alg received, expected RS256, got: none/,
  )
  const confused = await new SignJWT(good)
    .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
    .sign(new TextEncoder().encode(JSON.stringify(rsa.jwk)))
  assert.match(await verify(confused, lookup(rsa.jwk)), /^refused: unexpected JWT alg/)
})

test('id_token: a key that the token brings along signs nobody in', async () => {
  const impostor = await signer('RS256', 'k1')
  const headers = [
    { jwk: impostor.jwk },
    { jku: 'http://127.0.0.1:9/jwks' },
    { x5u: 'http://127.0.0.1:9/chain' },
    { x5c: ['MIIB'] },
  ]
  for (const header of headers) {
    for (const kid of ['k1', '../../dev/null', "' OR 1=1 --", '__proto__', '']) {
      const token = await sign({ ...impostor, kid }, {}, header)
      assert.match(await verify(token, lookup(rsa.jwk)), /^refused: /, JSON.stringify(header))
    }
  }
})

test('id_token: a foreign signature is refused', async () => {
  const impostor = await signer('RS256', 'k1')
  assert.equal(
    await verify(await sign(impostor), lookup(rsa.jwk)),
    'refused: failed to validate JWT signature',
  )
})

test('id_token: an unknown key id is refused and named', async () => {
  const token = await sign({ ...rsa, kid: 'k9' })
  assert.match(
    await verify(token, lookup(rsa.jwk)),
    /^refused: no valid key found in issuer's jwks_uri for key parameters \{"alg":"RS256","kid":"k9"\}/,
  )
})

test('id_token: without kid each of several keys is tried', async () => {
  const second = await signer('RS256', 'k2')
  const bare = await new SignJWT(good).setProtectedHeader({ alg: 'RS256' }).sign(second.key)
  assert.equal(await verify(bare, lookup(rsa.jwk, second.jwk)), 'signed in as u')
  const stranger = await signer('RS256', 'k3')
  const forged = await new SignJWT(good).setProtectedHeader({ alg: 'RS256' }).sign(stranger.key)
  assert.match(
    await verify(forged, lookup(rsa.jwk, second.jwk)),
    /failed to validate JWT signature/,
  )
})

test('id_token: what is no JWT is refused as malformed', async () => {
  for (const token of ['', 'garbage', 'a.b', 'a.b.c.d', 'e30.e30.e30', '...']) {
    assert.match(
      await verify(token, lookup(rsa.jwk)),
      /^refused: (failed to decode JWT|unexpected JWT alg)/,
      token,
    )
  }
})

test('id_token: a broken rule is reported after the signature held', async () => {
  const late = await sign(rsa, { exp: now - 1 })
  assert.match(await verify(late, lookup(rsa.jwk)), /^refused: JWT expired/)
})

test('id_token: keys that cannot be fetched refuse nobody', async () => {
  const broken: KeyLookup = () => Promise.reject(new Error('connect ECONNREFUSED'))
  assert.equal(await verify(await sign(rsa), broken), 'unavailable: jwks_uri: connect ECONNREFUSED')
})

test('id_token: a long value is cut in the reason', () => {
  const reason = checkClaims({ ...good, iss: 'x'.repeat(5000) }, rules, now)
  assert.ok((reason?.length ?? 0) < 300)
})
