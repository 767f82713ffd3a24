/**
 * What each policy comes to once the base is under it. Worked out when the configuration is read
 * and shared by everything that looks into a policy.
 */
import { basePolicy } from './match.ts'
import { changedKeys, mergeSettings } from './merge.ts'
import { type JsonObject, type Policy, settingsOf } from './policy.ts'

/** Claude Code settings per policy, in file order; the base's own as it is written. */
export function effectiveSettings(policies: readonly Policy[]): readonly JsonObject[] {
  const base = basePolicy(policies)
  const inherited = base === undefined ? undefined : settingsOf(base)
  return policies.map((policy) =>
    policy === base ? (inherited ?? {}) : mergeSettings(inherited, settingsOf(policy)),
  )
}

/** Lines for the boot log: which keys of the base a policy changes. */
export function describeMerges(policies: readonly Policy[]): readonly string[] {
  const base = basePolicy(policies)
  if (base === undefined) return []
  const inherited = settingsOf(base) ?? {}
  return effectiveSettings(policies).flatMap((settings, index) => {
    const keys = policies[index] === base ? [] : changedKeys(inherited, settings)
    const line = `managed.policies[${index}] after merge with the base, changed keys: `
    return keys.length === 0 ? [] : [line + keys.join(', ')]
  })
}
