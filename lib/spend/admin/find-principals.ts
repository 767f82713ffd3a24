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

/**
 * A search that finds at most so many people looks each of them up in `spend` (some microseconds
 * each); one that finds more fills a page after a look at a few, in the order of the page.
 */
const lookupsMax = 2000

/** At most one more than fits on the page. */
export async function findPrincipals(
  tx: Queryable,
  wanted: Wanted,
  periodKey: string,
): Promise<readonly Position[]> {
  const { isSorted, search, from, limit } = wanted
  const values = new Parameters()
  const count = values.add(limit + 1)
  const match = search === null ? null : await matchOf(tx, search, values)
  const sql = isSorted
    ? sortedSql(values, periodKey, match, from, count)
    : unsortedSql(values, match, from, count)
  const { rows } = await tx.query<Position>(sql, values.list)
  return rows
}

/** How a search is answered: conditions, with `person` and `s` for the rows they are about. */
type Match =
  /** Out of the table that has a line of text for each person. */
  | { readonly kind: 'indexed'; readonly person: string }
  /** By a look at the shared tables for each candidate. */
  | { readonly kind: 'walked'; readonly candidate: string }

async function matchOf(tx: Queryable, search: string, values: Parameters): Promise<Match> {
  const text = values.add(search)
  // Parts of a person's text are divided by line feeds; a search for one must not span two parts.
  if (!search.includes('\n') && (await hasPersons(tx))) {
    return { kind: 'indexed', person: `strpos(person.text, lower(${text}::text)) > 0` }
  }
  return { kind: 'walked', candidate: matchSql(text) }
}

/** A role without a right on the shared tables has none (`store/migrations/person-search.ts`). */
async function hasPersons(tx: Queryable): Promise<boolean> {
  const { rows } = await tx.query<{ exists: boolean }>(
    `SELECT to_regclass('gateway_person') IS NOT NULL AS exists`,
  )
  return rows[0]?.exists === true
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
  match: Match | null,
  from: Position | null,
  count: string,
): string {
  if (match?.kind === 'indexed') {
    const start = from === null ? '' : `AND person.id > ${values.add(from.principal)}`
    // Whoever has no spend left is no answer.
    const hasSpend = (id: string): string =>
      `AND (SELECT true FROM spend AS s WHERE s.principal = ${id} LIMIT 1)`
    return `
      ${hitsSql(`${match.person} ${start}`)}
      SELECT principal, NULL::float8 AS cents FROM (
        (SELECT hits.id AS principal FROM hits WHERE (SELECT yes FROM few) ${hasSpend('hits.id')})
        UNION ALL
        (SELECT person.id FROM gateway_person AS person
         WHERE NOT (SELECT yes FROM few) AND ${match.person} ${start} ${hasSpend('person.id')}
         ORDER BY person.id LIMIT ${count})
      ) AS found
      ORDER BY principal LIMIT ${count}`
  }
  return `
    ${walkSql(values, from)}
    SELECT s.principal, NULL::float8 AS cents FROM walk AS s
    WHERE s.principal IS NOT NULL ${match === null ? '' : `AND ${match.candidate}`} LIMIT ${count}`
}

/** In one pass over the narrow rows, which ends early when there are many. */
function hitsSql(condition: string): string {
  return `
    WITH hits AS (
      SELECT person.id FROM gateway_person AS person WHERE ${condition} LIMIT ${lookupsMax + 1}
    ), few AS (SELECT count(*) <= ${lookupsMax} AS yes FROM hits)`
}

function sortedSql(
  values: Parameters,
  periodKey: string,
  match: Match | null,
  from: Position | null,
  count: string,
): string {
  const period = values.add(periodKey)
  const cents = from === null ? '' : values.add(from.cents)
  const start =
    from === null
      ? ''
      : `AND s.cents <= ${cents}
         AND (s.cents < ${cents} OR s.principal > ${values.add(from.principal)})`
  const select = (condition: string): string => `
    SELECT s.principal, s.cents FROM spend AS s
    WHERE s.period = ${period} ${start} ${condition}
    ORDER BY s.cents DESC, s.principal LIMIT ${count}`
  if (match === null) return select('')
  if (match.kind === 'walked') return select(`AND ${match.candidate}`)
  return `
    ${hitsSql(match.person)}
    SELECT principal, cents FROM (
      (SELECT spent.principal, spent.cents FROM hits CROSS JOIN LATERAL (
         SELECT s.principal, s.cents FROM spend AS s
         WHERE s.principal = hits.id AND s.period = ${period} ${start} OFFSET 0
       ) AS spent
       WHERE (SELECT yes FROM few))
      UNION ALL
      (${select(`AND NOT (SELECT yes FROM few) AND (
         SELECT ${match.person} FROM gateway_person AS person WHERE person.id = s.principal)`)})
    ) AS found
    ORDER BY cents DESC, principal LIMIT ${count}`
}

/** Literal text: no character of a search has a meaning. One look-up for each candidate. */
function matchSql(search: string): string {
  const finds = (text: string): string => `strpos(lower(${text}), lower(${search}::text)) > 0`
  return `(${finds('s.principal')} OR EXISTS (
    SELECT 1 FROM principal_emails AS e
    WHERE e.principal = s.principal AND (${finds('e.email')} OR ${finds('e.name')})))`
}
