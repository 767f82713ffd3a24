/**
 * Keys whose feature does not exist yet. They pass `check`, so that a complete file can be
 * written today; serving with one that restricts something would silently lift the restriction,
 * so it is refused, and any other is named in one warning. A feature that lands deletes its rows.
 */
import type { Config } from './sections.ts'

export interface UnsupportedRow {
  /** The key, as the operator wrote it. */
  readonly key: string
  /** What serving without the feature would wrongly allow or break; absent: it only has no effect. */
  readonly restricts?: string
  readonly isSet: (config: Config) => boolean
}

export interface Unsupported {
  /** One line for each reason not to serve; empty: go on. */
  readonly refusals: readonly string[]
  /** Keys without effect, for one warning; empty: none. */
  readonly ineffective: readonly string[]
}

export function findUnsupported(
  config: Config,
  rows: readonly UnsupportedRow[] = unsupportedRows,
): Unsupported {
  const set = rows.filter(({ isSet }) => isSet(config))
  return {
    refusals: set.flatMap(({ key, restricts }) =>
      restricts === undefined ? [] : [`${key} is not supported by this version yet: ${restricts}`],
    ),
    ineffective: set.flatMap(({ key, restricts }) => (restricts === undefined ? [key] : [])),
  }
}

export const unsupportedRows: readonly UnsupportedRow[] = [
  {
    key: 'admin',
    restricts: 'spend limits would not be enforced',
    isSet: ({ admin }) => admin !== undefined,
  },
]
