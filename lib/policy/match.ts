/**
 * Which policy a caller gets: the first in file order that fits. Asked by everything that
 * depends on a person's role; knows nothing of what the policy says.
 */
import type { Caller } from '../kernel/caller.ts'
import { isCatchAll, type Policy } from './policy.ts'

/** Place of the caller's policy in the file, or -1 when none fits. */
export type PolicyMatcher = (caller: Caller) => number

export function createPolicyMatcher(policies: readonly Policy[]): PolicyMatcher {
  const rules = policies.map(compile)
  // A session's caller object lives as long as its token is remembered, so one match serves all
  // of its requests.
  const known = new WeakMap<Caller, number>()
  return (caller) => {
    const remembered = known.get(caller)
    if (remembered !== undefined) return remembered
    const groups = new Set(caller.groups)
    const domain = domainOf(caller.email)
    const index = rules.findIndex((fits) => fits(groups, domain))
    known.set(caller, index)
    return index
  }
}

/** The policy that all others inherit from: the first without a matcher. */
export function basePolicy(policies: readonly Policy[]): Policy | undefined {
  return policies.find(isCatchAll)
}

type Rule = (groups: ReadonlySet<string>, domain: string | undefined) => boolean

function compile({ match }: Policy): Rule {
  const wanted = match?.groups
  const domain = match?.email_domain?.toLowerCase()
  return (groups, own) =>
    (wanted === undefined || wanted.some((group) => groups.has(group))) &&
    (domain === undefined || domain === own)
}

/** What stands after the last at sign, lower case; what has none has no domain. */
export function domainOf(email: string | undefined): string | undefined {
  const at = email?.lastIndexOf('@') ?? -1
  return at < 0 ? undefined : email?.slice(at + 1).toLowerCase()
}
