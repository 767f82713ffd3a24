/**
 * Device grants (RFC 8628) as rows of `kv`, so that any replica can carry on what another began.
 * A grant moves once, from pending to approved or denied, and is redeemed once; both moves are
 * single statements of the store, so parallel callers cannot both win.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import type { Kv } from '../store/store.ts'
import { asString, asStrings, asObject, parseObject } from './json-object.ts'
import type { SignedIn } from './provider.ts'
import type { Seal } from './seal.ts'

/** Lifetime of a code, and of an outcome waiting for its poll; wire fact. */
export const grantSeconds = 600
/** Shortest time between two polls of a pending grant; wire fact. */
export const pollSeconds = 5

export interface PendingGrant {
  /** Names the grant in the store and, sealed, in the browser's state. */
  readonly key: string
  readonly requestedFrom: string
  readonly requestedAt: Date
  /** The stored value: the grant moves only while it is still this one. */
  readonly stored: string
  readonly userCode: string
}

export type PollResult =
  | { readonly kind: 'pending' | 'slow-down' | 'denied' | 'expired' }
  | { readonly kind: 'approved'; readonly signedIn: SignedIn }

export interface Grants {
  begin(requestedFrom: string): Promise<{ deviceCode: string; userCode: string }>
  /** By what a person typed; null when nobody waits for it. */
  findByUserCode(typed: string): Promise<PendingGrant | null>
  find(key: string): Promise<PendingGrant | null>
  /** False when somebody else ended the grant first. */
  approve(grant: PendingGrant, signedIn: SignedIn): Promise<boolean>
  deny(grant: PendingGrant): Promise<boolean>
  /** True for the first caller; a provider's code may be tried only once. */
  claimState(nonce: string): Promise<boolean>
  poll(deviceCode: string): Promise<PollResult>
}

type Stored =
  | {
      readonly status: 'pending'
      readonly user_code: string
      readonly requested_from: string
      readonly requested_at: number
    }
  | { readonly status: 'approved'; readonly signedIn: SignedIn }
  | { readonly status: 'denied' }

/** Letters that no font confuses, and no vowels, so that no code spells a word; wire fact. */
const userCodeLetters = 'BCDFGHJKMNPQRSTVWXYZ'
const userCodeForm = /^[BCDFGHJKMNPQRSTVWXYZ]{8}$/

export function createGrants(kv: Kv, seal: Seal, clock: Clock): Grants {
  const read = async (key: string): Promise<{ stored: string; grant: Stored } | null> => {
    const stored = await kv.get(key)
    const grant = stored === null ? null : await openGrant(seal, stored)
    return stored === null || grant === null ? null : { stored, grant }
  }
  const find = async (key: string): Promise<PendingGrant | null> => {
    const row = await read(key)
    if (row === null || row.grant.status !== 'pending') return null
    const { user_code, requested_from, requested_at } = row.grant
    // The store sweeps by its own clock; the code's ten minutes are counted by ours as well.
    if (clock.now() >= requested_at + grantSeconds * 1000) return null
    return {
      key,
      requestedFrom: requested_from,
      requestedAt: new Date(requested_at),
      stored: row.stored,
      userCode: user_code,
    }
  }
  const end = async (grant: PendingGrant, outcome: Stored): Promise<boolean> => {
    const sealed = await seal.seal(JSON.stringify(outcome))
    const moved = await kv.replace(grant.key, grant.stored, sealed, grantSeconds)
    // The move is what counts: a code left behind names a grant that is pending no more, and goes
    // when its ten minutes are over.
    if (moved) await kv.delete(userCodeKey(grant.userCode)).catch(() => {})
    return moved
  }

  return {
    async begin(requestedFrom) {
      const deviceCode = randomBytes(32).toString('base64url')
      const key = deviceCodeKey(deviceCode)
      const userCode = await claimUserCode(kv, key)
      const pending: Stored = {
        status: 'pending',
        user_code: userCode,
        requested_from: requestedFrom,
        requested_at: clock.now(),
      }
      await kv.set(key, await seal.seal(JSON.stringify(pending)), grantSeconds)
      return { deviceCode, userCode: `${userCode.slice(0, 4)}-${userCode.slice(4)}` }
    },
    find,
    async findByUserCode(typed) {
      const userCode = typed.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')
      if (!userCodeForm.test(userCode)) return null
      const key = await kv.get(userCodeKey(userCode))
      return key === null ? null : find(key)
    },
    approve: (grant, signedIn) => end(grant, { status: 'approved', signedIn }),
    deny: (grant) => end(grant, { status: 'denied' }),
    claimState: (nonce) => kv.claim(`device:cb:${sha256(nonce)}`, '1', grantSeconds),
    async poll(deviceCode) {
      const key = deviceCodeKey(deviceCode)
      const row = await read(key)
      if (row === null) return { kind: 'expired' }
      if (row.grant.status === 'pending') {
        if (clock.now() >= row.grant.requested_at + grantSeconds * 1000) return { kind: 'expired' }
        const first = await kv.claim(`rl:poll:${key}`, '1', pollSeconds)
        return { kind: first ? 'pending' : 'slow-down' }
      }
      // Of all that see the outcome, one takes it.
      const taken = await kv.take(key)
      const grant = taken === null ? null : await openGrant(seal, taken)
      if (grant === null || grant.status === 'pending') return { kind: 'expired' }
      if (grant.status === 'denied') return { kind: 'denied' }
      return { kind: 'approved', signedIn: grant.signedIn }
    },
  }
}

/** Only hashes of device codes are stored: a read of the database redeems nothing. */
function deviceCodeKey(deviceCode: string): string {
  return `device:dc:${sha256(deviceCode)}`
}

function userCodeKey(userCode: string): string {
  return `device:uc:${userCode}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Tries for a free code. Of 25 billion codes a few thousand are ever in use at once, so a second
 * collision in a row means a broken random source or store.
 */
const claimTriesMax = 3

async function claimUserCode(kv: Kv, key: string): Promise<string> {
  for (let tries = 0; tries < claimTriesMax; tries++) {
    const letters = Array.from({ length: 8 }, () =>
      userCodeLetters.charAt(randomInt(userCodeLetters.length)),
    )
    const userCode = letters.join('')
    if (await kv.claim(userCodeKey(userCode), key, grantSeconds)) return userCode
  }
  throw new Error(`no free user code in ${claimTriesMax} tries`)
}

/** Null when it is nothing we sealed: a foreign row, or one sealed with a secret since removed. */
async function openGrant(seal: Seal, stored: string): Promise<Stored | null> {
  const text = await seal.open(stored)
  const value = text === null ? null : parseObject(text)
  if (value === null) return null
  const { status, user_code, requested_from, requested_at } = value
  if (status === 'denied') return { status }
  if (status === 'approved') {
    const signedIn = readSignedIn(value['signedIn'])
    return signedIn === null ? null : { status, signedIn }
  }
  if (
    status !== 'pending' ||
    typeof user_code !== 'string' ||
    typeof requested_from !== 'string' ||
    typeof requested_at !== 'number'
  ) {
    return null
  }
  return { status, user_code, requested_from, requested_at }
}

function readSignedIn(value: unknown): SignedIn | null {
  const signedIn = asObject(value)
  const person = asObject(signedIn?.['person'])
  const sub = asString(person?.['sub'])
  if (signedIn === null || person === null || sub === undefined) return null
  return {
    person: {
      sub,
      email: asString(person['email']),
      name: asString(person['name']),
      groups: asStrings(person['groups']),
    },
    refresh_token: asString(signedIn['refresh_token']),
  }
}
