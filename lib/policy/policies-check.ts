/**
 * Boot warnings about `managed.policies` as a whole: what boots, but surprises people. Called by
 * the configuration once every single document has passed.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import type { Policy } from './policy.ts'

/**
 * Warns about policies that never match, model lists that lock people out and blocks that do not
 * reach whom they seem to reach. `path` is the place of the list.
 */
export function warnAboutPolicies(
  _policies: readonly Policy[],
  _path: KeyPath,
  _report: ConfigReport,
): void {}
