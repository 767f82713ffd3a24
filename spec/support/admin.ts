/** The Admin API on a real database, without a socket: for specs of what its calls answer. */
import type { Handler } from '../../lib/http/exchange.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import type { Clock } from '../../lib/kernel/clock.ts'
import { type AdminDeps, costPath, createAdmin, limitsPath } from '../../lib/spend/admin/admin.ts'
import type { AdminConfig } from '../../lib/spend/config.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { ownMigrations } from '../../lib/store/migrations/own.ts'
import type { Store } from '../../lib/store/store.ts'
import { createDatabase, type Scope, type TestDatabase } from './database.ts'
import { makeExchange } from './exchange.ts'
import { createFakeClock } from './fake-clock.ts'
import { createRecorder, type Recorder } from './recorder.ts'
import { openStore } from './store.ts'

export const writeKey: string = 'w'.repeat(36)
export const readKey: string = 'r'.repeat(36)

export const adminConfig: AdminConfig = {
  write_keys: [{ id: 'tf', key: writeKey }],
  read_keys: [{ id: 'ro', key: readKey }],
  admin_groups: ['admins'],
  audit_retention_days: 365,
  spend_retention_months: 13,
  identity_retention_days: 90,
  group_limit_mode: 'min',
}

export interface AdminCall {
  readonly method?: string
  /** Below `limitsPath`, or from the root; with its query. */
  readonly path?: string
  /** Sent as x-api-key; the write key unless it is said otherwise, none when null. */
  readonly key?: string | null
  /** What the bearer is the session of; null for a bearer that is no session. */
  readonly session?: Pick<Caller, 'sub' | 'groups'> | null
  readonly body?: string | object
}

export interface AdminAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  // The spec says what it expects.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any
}

export interface TestAdmin {
  readonly database: TestDatabase
  readonly store: Store
  readonly recorder: Recorder
  readonly revisions: bigint[]
  readonly call: (call?: AdminCall) => Promise<AdminAnswer>
}

export async function createTestAdmin(
  scope: Scope,
  options: {
    readonly now?: string
    readonly config?: Partial<AdminConfig>
    readonly store?: Store
  } = {},
): Promise<TestAdmin> {
  const database = await createDatabase(scope)
  const store = openStore(scope, database.url)
  const recorder = createRecorder()
  await migrate({ store, log: createRecorder().log, own: ownMigrations })
  const clock: Clock = createFakeClock(Date.parse(options.now ?? '2026-11-22T10:29:00Z'))
  const revisions: bigint[] = []
  let session: AdminCall['session']
  const deps: AdminDeps = {
    store: options.store ?? store,
    clock,
    log: recorder.log,
    audit: recorder.audit,
    verifySession: () =>
      session === undefined || session === null
        ? null
        : { email: undefined, name: undefined, expiresAt: 0, ...session },
    capsChanged: (revision) => void revisions.push(revision),
  }
  const handlers = createAdmin(deps, { ...adminConfig, ...options.config })
  return {
    database,
    store,
    recorder,
    revisions,
    async call({ method, path = '', key = writeKey, body, ...call } = {}) {
      session = call.session
      const whole = path.startsWith('/v1/') ? path : limitsPath + path
      const [before = '', ...query] = whole.split('?')
      const handle: Handler = before === costPath ? handlers.cost : handlers.limits
      const reply = await handle(
        makeExchange({
          method: method ?? (body === undefined ? 'GET' : 'POST'),
          path: before,
          query: query.length === 0 ? '' : `?${query.join('?')}`,
          headers: {
            ...(key !== null && { 'x-api-key': key }),
            ...(session !== undefined && { authorization: 'Bearer token' }),
          },
          body: typeof body === 'object' ? JSON.stringify(body) : (body ?? ''),
        }),
      )
      const text = typeof reply.body === 'string' ? reply.body : ''
      return {
        status: reply.status,
        headers: Object.fromEntries(
          reply.headers.map(([name, value]) => [name.toLowerCase(), value]),
        ),
        text,
        body: text === '' ? null : JSON.parse(text),
      }
    },
  }
}

/** Rows of `spend` as the gateway writes them: one for each period that holds `day`. */
export async function seedSpend(
  database: TestDatabase,
  rows: readonly (readonly [principal: string, period: string, cents: number])[],
): Promise<void> {
  await database.query(
    `INSERT INTO spend (principal, period, cents)
     SELECT * FROM unnest($1::text[], $2::text[], $3::float8[])
     ON CONFLICT (principal, period) DO UPDATE SET cents = EXCLUDED.cents`,
    [
      rows.map(([principal]) => principal),
      rows.map(([, period]) => period),
      rows.map(([, , c]) => c),
    ],
  )
}

export async function seedPeople(
  database: TestDatabase,
  people: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const ids = Object.keys(people)
  await database.query(
    `INSERT INTO principal_emails (principal, email, name, groups)
     SELECT id, id || '@example.com', 'N ' || id, groups::jsonb
     FROM unnest($1::text[], $2::text[]) AS person(id, groups)`,
    [ids, Object.values(people).map((groups) => JSON.stringify(groups))],
  )
}
