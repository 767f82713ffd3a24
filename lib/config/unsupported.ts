/**
 * Keys whose feature does not exist yet. They pass `check`, so that a complete file can be
 * written today; serving with one that restricts something would silently lift the restriction,
 * so it is refused, and any other is named in one warning. A feature that lands deletes its row.
 */
import type { Config } from './sections.ts'

export interface UnsupportedRow {
  /** For the documentation. */
  readonly feature: string
  /** The keys of this feature that are set, dotted; empty: the feature is not asked for. */
  readonly keys: (config: Config) => readonly string[]
  /** What would go wrong if the gateway served all the same; absent: the keys only do nothing. */
  readonly restricts?: string
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
  const refusals: string[] = []
  const ineffective: string[] = []
  for (const { keys, restricts } of rows) {
    const set = keys(config)
    if (restricts === undefined) ineffective.push(...set)
    else if (set.length > 0) {
      refusals.push(`${set.join(', ')}: not supported by this version yet, and ${restricts}`)
    }
  }
  return { refusals, ineffective }
}

export const unsupportedRows: readonly UnsupportedRow[] = [
  {
    feature: '`extensions.metrics`, `extensions.audit`',
    keys: ({ extensions }) => [
      ...when(extensions.metrics !== undefined, 'extensions.metrics'),
      ...when(extensions.audit !== undefined, 'extensions.audit'),
    ],
  },
]

function when(isSet: boolean, key: string): readonly string[] {
  return isSet ? [key] : []
}
