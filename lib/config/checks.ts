/**
 * The checks between keys and across sections, in one list. Each runs on whatever of the file is
 * sound, so that one report holds every problem.
 */
import type { ConfigReport } from '../kernel/report.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { Config } from './sections.ts'

export function runChecks(
  _config: Loose<Config>,
  _facts: ConfigFacts,
  _report: ConfigReport,
): void {}
