/**
 * What a schema consists of, read from PostgreSQL's own catalogue in a form that compares: the
 * same text from version 11 to 18, without owners, object numbers and bodies of functions.
 */
import type { TestDatabase } from './database.ts'

export interface Catalogue {
  readonly columns: readonly Record<string, unknown>[]
  readonly constraints: readonly Record<string, unknown>[]
  readonly indexes: readonly Record<string, unknown>[]
  readonly functions: readonly Record<string, unknown>[]
  readonly others: readonly Record<string, unknown>[]
}

const inSchema = `n.nspname = current_schema()`

export async function readCatalogue(database: Pick<TestDatabase, 'query'>): Promise<Catalogue> {
  return {
    columns: await database.query(`
      SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
             a.attnotnull AS not_null, pg_get_expr(d.adbin, d.adrelid) AS "default",
             a.attidentity AS identity
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
      WHERE ${inSchema} AND c.relkind IN ('r', 'p', 'v', 'm')
      ORDER BY c.relname, a.attname`),
    // PostgreSQL 18 also lists every NOT NULL here; the columns say that already.
    constraints: await database.query(`
      SELECT r.conrelid::regclass::text AS "table", r.conname AS name,
             pg_get_constraintdef(r.oid) AS definition
      FROM pg_constraint r JOIN pg_namespace n ON n.oid = r.connamespace
      WHERE ${inSchema} AND r.contype <> 'n'
      ORDER BY 1, 2`),
    indexes: await database.query(`
      SELECT tablename AS "table", indexname AS name,
             replace(indexdef, ' ' || quote_ident(schemaname) || '.', ' ') AS definition
      FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1, 2`),
    functions: await database.query(`
      SELECT p.proname AS name, pg_get_function_identity_arguments(p.oid) AS arguments,
             pg_get_function_result(p.oid) AS result, l.lanname AS language,
             p.provolatile AS volatility, p.proisstrict AS strict, p.prosecdef AS definer,
             p.proparallel AS parallel
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_language l ON l.oid = p.prolang
      WHERE ${inSchema} ORDER BY 1, 2`),
    others: await database.query(`
      SELECT c.relkind::text AS kind, c.relname AS name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${inSchema} AND c.relkind NOT IN ('r', 'i')
      UNION ALL
      SELECT 'trigger', t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${inSchema} AND NOT t.tgisinternal
      UNION ALL
      SELECT 'type', t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE ${inSchema} AND t.typtype IN ('e', 'd')
      ORDER BY 1, 2`),
  }
}
