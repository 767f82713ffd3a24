/**
 * How a conversation with the identity provider ends. Refusals and outages are values: the
 * callback and the token endpoint answer them differently, and neither is a bug.
 */

/** Where it failed, as the log and the audit name it. */
export type Step = 'token_endpoint' | 'claims' | 'userinfo_no_id_token' | 'google_groups'

export interface Failure {
  readonly step: Step
  /** True: the person may not sign in (401 on refresh). False: nobody knows yet (503). */
  readonly refused: boolean
  /** For the operator's log and audit; may quote the provider, never a token or secret. */
  readonly reason: string
}

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: Failure }

export function succeed<T>(value: T): Outcome<T> {
  return { ok: true, value }
}

/** The provider, or one of our rules, said no. */
export function refuse(step: Step, reason: string): { ok: false; failure: Failure } {
  return { ok: false, failure: { step, refused: true, reason } }
}

/** The provider could not be asked, or did not answer what was asked. */
export function unavailable(step: Step, reason: string): { ok: false; failure: Failure } {
  return { ok: false, failure: { step, refused: false, reason } }
}

/** Longest quote of a foreign text: enough for an error code and its explanation. */
const quoteMax = 300

/** A foreign text for the log: bounded; control characters go when the line is written. */
export function quote(text: string, max: number = quoteMax): string {
  return text.length > max ? `${text.slice(0, max)}…` : text
}
