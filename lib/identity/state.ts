/**
 * The `state` of an authorization request: sealed, so that the provider and the browser carry it
 * but neither reads nor changes it. It binds the answer to one grant, one browser (by a cookie)
 * and the secrets of one exchange; nothing about it is stored.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { asString, parseObject } from './json-object.ts'
import type { Seal } from './seal.ts'

export interface SignInState {
  readonly grantKey: string
  readonly nonce: string
  readonly code_verifier: string | undefined
  /** As sent in the authorization request; the exchange must repeat it. */
  readonly redirect_uri: string
  /** SHA-256 of the cookie of the browser that approved. */
  readonly browser: string
}

export interface States {
  /** What goes to the provider, and the cookie's value for the browser. */
  issue(grantKey: string, redirect_uri: string): Promise<IssuedState>
  /** Null when it is not ours, was changed, or is older than a grant can be. */
  open(state: string): Promise<SignInState | null>
}

export interface IssuedState {
  readonly state: string
  readonly nonce: string
  readonly code_verifier: string | undefined
  readonly cookie: string
}

/** No grant lives longer after it was approved. */
const stateSeconds = 600

export function createStates(seal: Seal, use_pkce: boolean, clock: Clock): States {
  return {
    async issue(grantKey, redirect_uri) {
      const nonce = randomText()
      const code_verifier = use_pkce ? randomText() : undefined
      const cookie = randomText()
      const expiresAt = clock.now() + stateSeconds * 1000
      const browser = hash(cookie)
      const content = { grantKey, nonce, code_verifier, redirect_uri, browser, expiresAt }
      return { state: await seal.seal(JSON.stringify(content)), nonce, code_verifier, cookie }
    },
    async open(state) {
      const text = await seal.open(state)
      const content = text === null ? null : parseObject(text)
      if (content === null) return null
      const grantKey = asString(content['grantKey'])
      const nonce = asString(content['nonce'])
      const redirect_uri = asString(content['redirect_uri'])
      const browser = asString(content['browser'])
      const { expiresAt } = content
      if (grantKey === undefined || nonce === undefined || redirect_uri === undefined) return null
      if (browser === undefined || typeof expiresAt !== 'number') return null
      if (clock.now() >= expiresAt) return null
      const code_verifier = asString(content['code_verifier'])
      return { grantKey, nonce, code_verifier, redirect_uri, browser }
    },
  }
}

/** Whether one of these cookies is the one the state was issued with. */
export function isSameBrowser(state: SignInState, cookies: readonly string[]): boolean {
  const expected = Buffer.from(state.browser)
  return cookies.some((cookie) => {
    const found = Buffer.from(hash(cookie))
    return found.length === expected.length && timingSafeEqual(found, expected)
  })
}

/** 256 bits, 43 characters: also the shortest verifier RFC 7636 allows. */
function randomText(): string {
  return randomBytes(32).toString('base64url')
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
