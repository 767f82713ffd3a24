/**
 * Small conversions that several calls of the Admin API share: money as text, and groups as the
 * database has them. Pure.
 */

/** Cents for people and scripts: thousandths at most, which hides the noise of doubles. */
export function centsText(cents: number): string {
  // Not by Math.round: what is scaled first rounds a half that the double does not have.
  return String(Number(cents.toFixed(3)))
}

/** Groups as a list of jsonb: a single one may be there as a bare text, anything else is none. */
export function groupList(column: string): string {
  return `CASE jsonb_typeof(${column}) WHEN 'array' THEN ${column}
    WHEN 'string' THEN jsonb_build_array(${column}) ELSE '[]' END`
}
