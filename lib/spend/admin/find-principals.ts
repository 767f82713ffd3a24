/**
 * Which people a page of `/effective` is about: everybody with spend, or those a search finds, by
 * id or by what they spent. Reads as far as the page needs; knows nothing of caps.
 */
import type { Queryable } from '../../store/store.ts'

/** The last principal of the page before. */
export interface Position {
  readonly principal: string
  /** Only in a sorted list. */
  readonly cents: number | null
}

export interface Wanted {
  /** People of a page. */
  readonly limit: number
  /** By what they spent, the most first; else by id. */
  readonly isSorted: boolean
  /** Null: everybody. */
  readonly search: string | null
  readonly from: Position | null
}

/** At most one more than fits on the page. */
export async function findPrincipals(
  tx: Queryable,
  wanted: Wanted,
  periodKey: string,
): Promise<readonly Position[]> {
  const { isSorted, search, from, limit } = wanted
  const values = new Parameters()
  const count = values.add(limit + 1)
  const sql = isSorted
    ? sortedSql(values, periodKey, search, from, count)
    : unsortedSql(values, search, from, count)
  const { rows } = await tx.query<Position>(sql, values.list)
  return rows
}

class Parameters {
  readonly list: unknown[] = []

  /** The placeholder of a value. */
  add(value: unknown): string {
    this.list.push(value)
    return `$${this.list.length}`
  }
}

/**
 * Everybody with spend, in order: from one to the next by the index, past all the rows each of
 * them has. Read only as far as the page needs.
 */
function walkSql(values: Parameters, from: Position | null): string {
  const start = from === null ? '' : `WHERE principal > ${values.add(from.principal)}`
  return `
    WITH RECURSIVE walk (principal) AS (
      (SELECT principal FROM spend ${start} ORDER BY principal LIMIT 1)
      UNION ALL
      SELECT (SELECT next.principal FROM spend AS next WHERE next.principal > walk.principal
              ORDER BY next.principal LIMIT 1)
      FROM walk WHERE walk.principal IS NOT NULL)`
}

function unsortedSql(
  values: Parameters,
  search: string | null,
  from: Position | null,
  count: string,
): string {
  const match = search === null ? '' : `AND ${matchSql(values.add(search))}`
  return `
    ${walkSql(values, from)}
    SELECT s.principal, NULL::float8 AS cents FROM walk AS s
    WHERE s.principal IS NOT NULL ${match} LIMIT ${count}`
}

function sortedSql(
  values: Parameters,
  periodKey: string,
  search: string | null,
  from: Position | null,
  count: string,
): string {
  const cents = from === null ? '' : values.add(from.cents)
  const start =
    from === null
      ? ''
      : `AND s.cents <= ${cents}
         AND (s.cents < ${cents} OR s.principal > ${values.add(from.principal)})`
  const match = search === null ? '' : `AND ${matchSql(values.add(search))}`
  return `
    SELECT s.principal, s.cents FROM spend AS s
    WHERE s.period = ${values.add(periodKey)} ${start} ${match}
    ORDER BY s.cents DESC, s.principal LIMIT ${count}`
}

/** Literal text: no character of a search has a meaning. One look-up for each candidate. */
function matchSql(search: string): string {
  const finds = (text: string): string => `strpos(lower(${text}), lower(${search}::text)) > 0`
  return `(${finds('s.principal')} OR EXISTS (
    SELECT 1 FROM principal_emails AS e
    WHERE e.principal = s.principal AND (${finds('e.email')} OR ${finds('e.name')})))`
}
