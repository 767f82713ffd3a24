/**
 * Session tokens: minted after a sign-in or refresh, verified on every request. Stateless HS256
 * JWTs that any replica with the secret accepts. A bounded cache stands in front of the
 * signature check, because WebCrypto costs a hundred times the rest of a request's check.
 */
import { SignJWT, jwtVerify } from 'jose'
import { createCache } from '../kernel/cache.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock } from '../kernel/clock.ts'
import { asString, asStrings, parseObject, type JsonObject } from './json-object.ts'
import type { SessionOptions } from './options.ts'
import type { SessionKey } from './session-key.ts'

/** What the provider said of a person, once all gates are passed. */
export interface Person {
  readonly sub: string
  readonly email?: string | undefined
  readonly name?: string | undefined
  readonly groups?: readonly string[] | undefined
}

export interface Minted {
  readonly token: string
  readonly expiresInSeconds: number
}

export interface Sessions {
  mint(person: Person): Promise<Minted>
  /** By the whole `Authorization` header, without a signature check; undefined when unknown. */
  recall(authorization: string): Caller | undefined
  /** Checks an `Authorization` header and remembers it; null when it is no valid session. */
  verify(authorization: string): Promise<Caller | null>
  /** A valid session by its bare token, whether or not it was revoked. */
  inspect(token: string): Promise<Inspected | null>
  /** Whether a token says that one of our keys signed it; the signature is not checked. */
  isOurs(token: string): boolean
  /** Drops what is remembered: the next request of every session is checked in full. */
  forget(): void
}

export interface Inspected {
  readonly caller: Caller
  /** Header and claims: what the signature covers, and so the one way to write this session. */
  readonly signedPart: string
}

const audience = 'claude-gateway'

/** People active at once on one replica; some 4 MB of usual tokens, at worst 32 MB. */
const cachedMax = 4096

/** Longer headers (hundreds of groups) are verified each time, so that the bound above holds. */
const cachedLengthMax = 4096

/**
 * `Bearer`, one space, three strict base64url parts. The scheme is case-sensitive and nothing may
 * stand around the token: what other servers tolerate would let one token be written many ways.
 */
const tokenForm = /^([\w-]+\.[\w-]+)\.[\w-]+$/
const scheme = 'Bearer '

export interface SessionSettings extends SessionOptions {
  readonly public_url?: string | undefined
  readonly billing_group_tag?: string | undefined
}

export function createSessions(
  settings: SessionSettings,
  keys: readonly SessionKey[],
  clock: Clock,
  isRevoked: (signedPart: string) => boolean | Promise<boolean> = () => false,
): Sessions {
  const { public_url: issuer, billing_group_tag } = settings
  const expiresInSeconds = Math.round(settings.ttl_hours * 3600)
  const remembered = createCache<string, Caller>(cachedMax, clock)
  /** Counts how often everything was forgotten. */
  let generation = 0
  const [current] = keys
  if (current === undefined) throw new Error('sessions need at least one key')

  const inspect = async (token: string): Promise<Inspected | null> => {
    const signedPart = tokenForm.exec(token)?.[1]
    if (signedPart === undefined) return null
    const payload = await verifyWith(candidates(token, keys), token, issuer, clock)
    const caller = payload === null ? null : readCaller(payload)
    return caller === null ? null : { caller, signedPart }
  }

  return {
    async mint({ sub, email, name, groups }) {
      const now = Math.floor(clock.now() / 1000)
      // The order is the wire's: JSON keeps it.
      const token = await new SignJWT({
        sub,
        ...(email === undefined ? {} : { email }),
        ...(name === undefined ? {} : { name }),
        ...(groups === undefined ? {} : { groups: [...groups] }),
        ...(billing_group_tag === undefined ? {} : { billing_group_tag }),
        aud: audience,
        iat: now,
        exp: now + expiresInSeconds,
        ...(issuer === undefined ? {} : { iss: issuer }),
      })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: current.kid })
        .sign(current.signing)
      return { token, expiresInSeconds }
    },
    recall: (authorization) => remembered.get(authorization),
    async verify(authorization) {
      if (!authorization.startsWith(scheme)) return null
      const started = generation
      const session = await inspect(authorization.slice(scheme.length))
      if (session === null || (await isRevoked(session.signedPart))) return null
      const { caller } = session
      // What was revoked meanwhile may be this very session: the next request asks again.
      if (started === generation && authorization.length <= cachedLengthMax) {
        remembered.set(authorization, caller, caller.expiresAt * 1000)
      }
      return caller
    },
    inspect,
    isOurs: (token) => tokenForm.test(token) && namesKey(token, keys),
    forget() {
      generation++
      remembered.clear()
    },
  }
}

/** Foreign JWTs, such as some providers' refresh tokens, have a `kid` of theirs or none. */
function namesKey(token: string, keys: readonly SessionKey[]): boolean {
  const kid = readHeader(token)?.['kid']
  return keys.some((key) => key.kid === kid)
}

function readHeader(token: string): JsonObject | null {
  return parseObject(Buffer.from(token.split('.', 1).join(), 'base64url').toString())
}

/** A known `kid` names its key, an unknown one none; without `kid` every key is tried. */
function candidates(token: string, keys: readonly SessionKey[]): readonly SessionKey[] {
  const header = readHeader(token)
  if (header === null) return []
  return header['kid'] === undefined ? keys : keys.filter(({ kid }) => kid === header['kid'])
}

async function verifyWith(
  keys: readonly SessionKey[],
  token: string,
  issuer: string | undefined,
  clock: Clock,
): Promise<JsonObject | null> {
  for (const key of keys) {
    try {
      const { payload } = await jwtVerify(token, key.signing, {
        algorithms: ['HS256'],
        audience,
        ...(issuer === undefined ? {} : { issuer }),
        requiredClaims: ['exp', 'sub'],
        currentDate: new Date(clock.now()),
      })
      return payload
    } catch {
      // Not this key, or not valid at all: the answer is the same 401 either way.
    }
  }
  return null
}

function readCaller(payload: JsonObject): Caller | null {
  const { sub, email, name, groups, exp } = payload
  if (typeof sub !== 'string' || sub === '' || typeof exp !== 'number') return null
  return {
    sub,
    email: asString(email),
    name: asString(name),
    groups: asStrings(groups) ?? [],
    expiresAt: exp,
  }
}
