/**
 * Who is asking, as the session token says. Made by identity, read by every feature;
 * it stands in the kernel because features never import each other.
 */
export interface Caller {
  /** The principal: the token's `sub`, never empty. */
  readonly sub: string
  readonly email: string | undefined
  readonly name: string | undefined
  /** IdP groups at the last sign-in or refresh; empty when the token has none. */
  readonly groups: readonly string[]
  /** `exp` of the session, seconds since the epoch. */
  readonly expiresAt: number
}
