/**
 * One entry of `managed.policies`, as the configuration hands it over, and the two questions
 * asked of every entry. The documents inside are JSON as the operator wrote it: checked at boot
 * by `settings-check.ts` and `desktop-check.ts`, never reshaped.
 */

/** A JSON object of the operator; keys are data, so it is only ever walked by its own keys. */
export type JsonObject = Readonly<Record<string, unknown>>

export interface PolicyMatch {
  /** Any of them, spelled exactly as the identity provider does. */
  readonly groups?: readonly string[] | undefined
  /** One bare domain; compared without regard to case. */
  readonly email_domain?: string | undefined
}

export interface Policy {
  /** Absent or empty: a catch-all. */
  readonly match?: PolicyMatch | undefined
  readonly cli?: JsonObject | undefined
  /** The old name of `cli`; `cli` wins whole when both are set. */
  readonly settings?: JsonObject | undefined
  /** The same document as `cli`, which also reaches Claude Desktop. */
  readonly code?: JsonObject | undefined
  readonly desktop?: JsonObject | undefined
  readonly serve_to_desktop?: boolean | undefined
}

/** The Claude Code settings of a policy under whichever of its three names. */
export function settingsOf(policy: Policy): JsonObject | undefined {
  return policy.code ?? policy.cli ?? policy.settings
}

/** True when the policy matches every caller. */
export function isCatchAll(policy: Policy): boolean {
  return policy.match?.groups === undefined && policy.match?.email_domain === undefined
}
