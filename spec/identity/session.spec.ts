import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import { createSessionKeys } from '../../lib/identity/session-key.ts'
import { createSessions, type Sessions } from '../../lib/identity/session.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'

const secret = '0123456789abcdef0123456789abcdef0123456789abcdef'
const other = 'another-secret-that-is-long-enough-to-be-one'
const public_url = 'http://localhost:9310'
const hour = 3600

interface Setting {
  readonly secrets?: readonly string[]
  readonly public_url?: string | undefined
  readonly billing_group_tag?: string
  readonly ttl_hours?: number
  readonly clock?: FakeClock
}

function sessionsOf(setting: Setting = {}): Sessions {
  const { secrets = [secret], clock = createFakeClock(), ttl_hours = 1, ...rest } = setting
  const settings = { public_url, ...rest, ttl_hours, jwt_secret: secrets }
  return createSessions(settings, createSessionKeys(secrets), clock)
}

const startSeconds = Math.floor(createFakeClock().now() / 1000)

interface Forged {
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
  readonly key?: string
}

/** A token as somebody with the secret could make it. */
async function forge({ claims = {}, header = {}, key = secret }: Forged = {}): Promise<string> {
  const payload: JWTPayload = {
    sub: 'u-alice',
    aud: 'claude-gateway',
    iat: startSeconds,
    exp: startSeconds + hour,
    iss: public_url,
    ...claims,
  }
  const token = await new SignJWT(payload)
    .setProtectedHeader({ alg: 'HS256', ...header })
    .sign(new TextEncoder().encode(key))
  return `Bearer ${token}`
}

test('session: a minted token is the byte-for-byte token other implementations mint', async () => {
  const minted = await sessionsOf({ clock: createFakeClock(1795342905_250) }).mint({
    sub: 'u-alice',
    email: 'alice@example.com',
    name: 'Alice A',
    groups: ['eng', 'admins'],
  })
  assert.equal(
    minted.token,
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjM0YzI2ZTE1NGJhYjVmZjUifQ.eyJzdWIiOiJ1LWFsaWNlIiwiZW1haWwiOiJhbGljZUBleGFtcGxlLmNvbSIsIm5hbWUiOiJBbGljZSBBIiwiZ3JvdXBzIjpbImVuZyIsImFkbWlucyJdLCJhdWQiOiJjbGF1ZGUtZ2F0ZXdheSIsImlhdCI6MTc5NTM0MjkwNSwiZXhwIjoxNzk1MzQ2NTA1LCJpc3MiOiJodHRwOi8vbG9jYWxob3N0OjkzMTAifQ.lv79F1AzAE20n-eRcQNSYeu4KIZtAwIAmSTR5ojCztE',
  )
  assert.equal(minted.expiresInSeconds, hour)
})

test('session: a minted token verifies to the person it was minted for', async () => {
  const sessions = sessionsOf()
  const { token } = await sessions.mint({ sub: 'u-1', email: '', groups: ['a', 'b'] })
  assert.deepEqual(await sessions.verify(`Bearer ${token}`), {
    sub: 'u-1',
    email: '',
    name: undefined,
    groups: ['a', 'b'],
    expiresAt: startSeconds + hour,
  })
})

test('session: claims that are absent are left out, and the billing tag stands before aud', async () => {
  const { token } = await sessionsOf({ billing_group_tag: 'team:a', public_url: undefined }).mint({
    sub: 'u-1',
  })
  const [, claims = ''] = token.split('.')
  assert.equal(
    Buffer.from(claims, 'base64url').toString(),
    `{"sub":"u-1","billing_group_tag":"team:a","aud":"claude-gateway","iat":${startSeconds},"exp":${startSeconds + hour}}`,
  )
})

test('session: a fraction of an hour is a lifetime', async () => {
  const { expiresInSeconds } = await sessionsOf({ ttl_hours: 0.01 }).mint({ sub: 'u-1' })
  assert.equal(expiresInSeconds, 36)
})

test('session: the first secret signs and every secret verifies', async () => {
  const before = sessionsOf({ secrets: [other] })
  const { token } = await before.mint({ sub: 'u-1' })
  const during = sessionsOf({ secrets: [secret, other] })
  assert.equal((await during.verify(`Bearer ${token}`))?.sub, 'u-1')
  const { token: next } = await during.mint({ sub: 'u-2' })
  assert.equal((await sessionsOf().verify(`Bearer ${next}`))?.sub, 'u-2')
  assert.equal(await sessionsOf().verify(`Bearer ${token}`), null, 'a removed secret is forgotten')
})

test('session: without kid every secret is tried; an unknown kid is refused', async () => {
  const both = sessionsOf({ secrets: [secret, other] })
  assert.equal((await both.verify(await forge({ key: other })))?.sub, 'u-alice')
  assert.equal(await both.verify(await forge({ header: { kid: 'unknown' } })), null)
  assert.equal(await both.verify(await forge({ header: { kid: '' } })), null)
  assert.equal(
    await both.verify(await forge({ key: other, header: { kid: '34c26e154bab5ff5' } })),
    null,
    'the kid of one secret with the signature of the other',
  )
})

const accepted: readonly [string, Forged][] = [
  ['an audience list that holds ours', { claims: { aud: ['x', 'claude-gateway'] } }],
  ['a missing email, name and groups', { claims: {} }],
  ['iat in the future', { claims: { iat: startSeconds + 500 } }],
  ['no iat', { claims: { iat: undefined } }],
  ['claims it does not know', { claims: { extra: { a: 1 } } }],
  ['a last second of life', { claims: { exp: startSeconds + 1 } }],
  ['nbf that is just over', { claims: { nbf: startSeconds } }],
  ['a token without typ', { header: {} }],
]
for (const [what, forged] of accepted) {
  test(`session: accepts ${what}`, async () => {
    assert.equal((await sessionsOf().verify(await forge(forged)))?.sub, 'u-alice')
  })
}

const refused: readonly [string, Forged][] = [
  ['a wrong secret', { key: other }],
  ['an expired token', { claims: { exp: startSeconds - 1 } }],
  ['a token in the second of its expiry', { claims: { exp: startSeconds } }],
  ['no exp', { claims: { exp: undefined } }],
  ['an exp that is text', { claims: { exp: String(startSeconds + hour) } }],
  ['no sub', { claims: { sub: undefined } }],
  ['an empty sub', { claims: { sub: '' } }],
  ['a sub that is a number', { claims: { sub: 5 } }],
  ['nbf in the future', { claims: { nbf: startSeconds + 60 } }],
  ['another issuer', { claims: { iss: 'http://localhost:9311' } }],
  ['no issuer while public_url is set', { claims: { iss: undefined } }],
  ['another audience', { claims: { aud: 'somebody-else' } }],
  ['no audience', { claims: { aud: undefined } }],
  ['HS512', { header: { alg: 'HS512' }, key: secret.repeat(2) }],
]
for (const [what, forged] of refused) {
  test(`session: refuses ${what}`, async () => {
    const sessions = sessionsOf({ secrets: [secret, secret.repeat(2)] })
    const header = await forge(forged)
    assert.equal(await sessions.verify(header), null)
    assert.equal(sessions.recall(header), undefined, 'a refusal is never remembered')
  })
}

test('session: nothing in a header leads to another key', async () => {
  const encode = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: 'u', aud: 'claude-gateway', exp: startSeconds + hour, iss: public_url }
  const sign = (header: unknown, key: string): string => {
    const input = `${encode(header)}.${encode(claims)}`
    return `Bearer ${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
  }
  const kid = createSessionKeys([secret])[0]?.kid ?? ''
  const jwk = { kty: 'oct', k: Buffer.from(other).toString('base64url') }
  const sessions = sessionsOf()
  assert.equal((await sessions.verify(sign({ alg: 'HS256', kid }, secret)))?.sub, 'u')
  // Right signature, a kid that is a path, a statement, another spelling or no text.
  const kids = [
    '../../dev/null',
    `${kid}/../${kid}`,
    "' UNION SELECT 'x",
    `${kid}\0`,
    ` ${kid}`,
    kid.toUpperCase(),
    '__proto__',
    'constructor',
    '0',
    'k'.repeat(5000),
    [kid],
    { kid },
    0,
    null,
  ]
  for (const odd of kids) {
    const header = sign({ alg: 'HS256', kid: odd }, secret)
    assert.equal(await sessions.verify(header), null, JSON.stringify(odd))
    assert.equal(sessions.recall(header), undefined)
  }
  // The attacker's key, brought along in every way a header can, and the empty key.
  for (const brought of [
    { jwk },
    { jku: 'http://127.0.0.1:9/keys' },
    { x5u: 'http://127.0.0.1:9/chain' },
    { x5c: ['MIIB'] },
  ]) {
    assert.equal(await sessions.verify(sign({ alg: 'HS256', kid, ...brought }, other)), null)
    assert.equal(await sessions.verify(sign({ alg: 'HS256', ...brought }, other)), null)
  }
  assert.equal(await sessions.verify(sign({ alg: 'HS256', kid }, '')), null)
  for (const alg of ['none', 'None', 'NONE', 'RS256', 'hs256', '', ['HS256'], null]) {
    assert.equal(await sessions.verify(sign({ alg, kid }, secret)), null, JSON.stringify(alg))
  }
})

test('session: a critical header that nobody understands is refused', async () => {
  const encode = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: 'u', aud: 'claude-gateway', exp: startSeconds + hour, iss: public_url }
  const sign = (header: unknown): string => {
    const input = `${encode(header)}.${encode(claims)}`
    return `Bearer ${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const sessions = sessionsOf()
  assert.equal((await sessions.verify(sign({ alg: 'HS256' })))?.sub, 'u')
  assert.equal(await sessions.verify(sign({ alg: 'HS256', crit: ['new'], new: 1 })), null)
})

test('session: an unsigned token is refused', async () => {
  const token = new UnsecuredJWT({ sub: 'u-alice' })
    .setAudience('claude-gateway')
    .setIssuer(public_url)
    .setExpirationTime(startSeconds + hour)
    .encode()
  assert.equal(await sessionsOf().verify(`Bearer ${token}`), null)
})

test('session: without public_url no issuer is asked for', async () => {
  const sessions = sessionsOf({ public_url: undefined })
  assert.equal((await sessions.verify(await forge({ claims: { iss: undefined } })))?.sub, 'u-alice')
})

test('session: a token is written in one way only', async () => {
  const sessions = sessionsOf()
  const good = await forge()
  const token = good.slice('Bearer '.length)
  for (const wrong of [
    `bearer ${token}`,
    `BEARER ${token}`,
    `Bearer  ${token}`,
    `Bearer\t${token}`,
    ` Bearer ${token}`,
    `Bearer ${token} `,
    `Bearer ${token}=`,
    `Bearer ${token}.x`,
    `Basic ${token}`,
    token,
    'Bearer ',
    'Bearer',
    '',
  ]) {
    assert.equal(await sessions.verify(wrong), null, JSON.stringify(wrong.slice(0, 12)))
  }
  assert.notEqual(await sessions.verify(good), null)
})

test('session: a groups claim that is one string is one group', async () => {
  const caller = await sessionsOf().verify(await forge({ claims: { groups: 'eng' } }))
  assert.deepEqual(caller?.groups, ['eng'])
})

test('session: of a groups list only texts count', async () => {
  const caller = await sessionsOf().verify(
    await forge({ claims: { groups: ['a', 1, null, '', 'b'], email: 5, name: {} } }),
  )
  assert.deepEqual(
    [caller?.groups, caller?.email, caller?.name],
    [['a', 'b'], undefined, undefined],
  )
})

test('session: a verified token is remembered until the moment it expires', async () => {
  const clock = createFakeClock()
  const sessions = sessionsOf({ clock })
  const header = await forge()
  assert.equal(sessions.recall(header), undefined)
  const caller = await sessions.verify(header)
  assert.equal(sessions.recall(header), caller)
  await clock.advance(hour * 1000 - 1)
  assert.equal(sessions.recall(header), caller)
  await clock.advance(1)
  assert.equal(sessions.recall(header), undefined)
  assert.equal(await sessions.verify(header), null)
})

test('session: the memory is bounded, and very long tokens do not enter it', async () => {
  const sessions = sessionsOf()
  const groups = Array.from({ length: 400 }, (_, index) => `group-number-${index}`)
  const long = await forge({ claims: { groups } })
  assert.equal((await sessions.verify(long))?.groups.length, 400)
  assert.equal(sessions.recall(long), undefined)

  const first = await forge({ claims: { n: -1 } })
  await sessions.verify(first)
  const more = await Promise.all(Array.from({ length: 4096 }, (_, n) => forge({ claims: { n } })))
  await Promise.all(more.map((header) => sessions.verify(header)))
  assert.equal(sessions.recall(first), undefined, 'the oldest went')
  assert.notEqual(sessions.recall(more.at(-1) ?? ''), undefined)
})

test('session: a revoked one is refused, and what was remembered can be forgotten', async () => {
  const revoked = new Set<string>()
  const settings = { public_url, jwt_secret: [secret], ttl_hours: 1 }
  const sessions = createSessions(
    settings,
    createSessionKeys([secret]),
    createFakeClock(),
    (part) => revoked.has(part),
  )
  const header = await forge()
  const caller = await sessions.verify(header)
  assert.equal(sessions.recall(header), caller)
  revoked.add(header.slice('Bearer '.length, header.lastIndexOf('.')))
  sessions.forget()
  assert.equal(sessions.recall(header), undefined)
  assert.equal(await sessions.verify(header), null)
})

test('session: one that is revoked while it is verified is not remembered', async () => {
  let revoked = false
  const settings = { public_url, jwt_secret: [secret], ttl_hours: 1 }
  const keys = createSessionKeys([secret])
  const sessions = createSessions(settings, keys, createFakeClock(), () => revoked)
  const header = await forge()
  const verifying = sessions.verify(header)
  revoked = true
  sessions.forget()
  assert.equal(await verifying, null)
  assert.equal(sessions.recall(header), undefined)
})

test('session: one that is revoked right after it was looked up is not remembered', async () => {
  const settings = { public_url, jwt_secret: [secret], ttl_hours: 1 }
  const keys = createSessionKeys([secret])
  const sessions = createSessions(settings, keys, createFakeClock(), async () => {
    // The answer of a database, out of date before it is heard.
    sessions.forget()
    return false
  })
  const header = await forge()
  assert.notEqual(await sessions.verify(header), null)
  assert.equal(sessions.recall(header), undefined)
})

test('session: while nobody can say whether it was revoked, it is not let in', async () => {
  const settings = { public_url, jwt_secret: [secret], ttl_hours: 1 }
  const keys = createSessionKeys([secret])
  const sessions = createSessions(settings, keys, createFakeClock(), () =>
    Promise.reject(new Error('gone')),
  )
  const header = await forge()
  await assert.rejects(sessions.verify(header), /gone/)
  assert.equal(sessions.recall(header), undefined)
})

test('session: a token can be inspected bare, for what identifies it', async () => {
  const token = (await forge()).slice('Bearer '.length)
  const inspected = await sessionsOf().inspect(token)
  assert.equal(inspected?.caller.sub, 'u-alice')
  assert.equal(inspected?.signedPart, token.slice(0, token.lastIndexOf('.')))
  assert.equal(await sessionsOf().inspect(`${token}x.y`), null)
  assert.equal(await sessionsOf().inspect(`${token.slice(0, -6)}AAAAAA`), null)
})

test('session: our tokens are told from others by their key id alone', async () => {
  const sessions = sessionsOf()
  const { token } = await sessions.mint({ sub: 'u' })
  assert.equal(sessions.isOurs(token), true)
  assert.equal(sessions.isOurs(`${token.slice(0, -6)}AAAAAA`), true)
  const foreign = (await forge({ header: { kid: 'theirs' } })).slice('Bearer '.length)
  for (const other of [foreign, (await forge()).slice('Bearer '.length), 'opaque', 'a.b.c', '']) {
    assert.equal(sessions.isOurs(other), false)
  }
})
