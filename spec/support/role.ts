/** A role of a spec that may do less than the owner of a database. */
import pg from 'pg'
import type { TestDatabase } from './database.ts'

interface Scope {
  after(action: () => Promise<void>): void
}

/** Its rights are `grants` alone, such as `SELECT ON spend`; the address it connects with. */
export async function createRole(
  scope: Scope,
  database: TestDatabase,
  grants: readonly string[],
): Promise<string> {
  const role = `role_${database.name}`
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'limited'`)
  for (const grant of grants) await database.query(`GRANT ${grant} TO ${role}`)
  scope.after(async () => {
    // The database is gone by now, and its rights with it; a role belongs to the server.
    const client = new pg.Client({ connectionString: new URL('/postgres', database.url).href })
    await client.connect()
    await client.query(`DROP ROLE ${role}`)
    await client.end()
  })
  const url = new URL(database.url)
  url.username = role
  url.password = 'limited'
  return url.href
}
