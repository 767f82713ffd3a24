/**
 * What docs/migration.md promises of taking over from the reference and giving back: the same
 * database, sessions of either side, nothing left behind that the other would trip over.
 */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { migrate } from '../../lib/store/migrate.ts'
import { readCatalogue, type Catalogue } from '../support/catalogue.ts'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createRecorder } from '../support/recorder.ts'
import { sessionSecret, sessionToken } from '../support/session-token.ts'
import { openStore } from '../support/store.ts'

/** Read from a database that the reference made. */
const reference: Catalogue = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/store/reference-schema.json'), 'utf8'),
)

const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())

/** As the reference leaves it: its tables and versions, with people's spend in them. */
const store = openStore({ after }, database.url)
await migrate({ store, log: createRecorder().log, own: [] })
await store.close()
const [appliedBefore] = await database.query('SELECT max(applied_at) AS at FROM _migrations')
await database.query(
  `INSERT INTO principal_emails (principal, email) VALUES ('u-alice', 'alice@example.com')`,
)
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { admin: { admin_groups: ['admins'] } },
  },
)

test('migration: the tables of the reference stay as they are, and ours have names of their own', async () => {
  const now = await readCatalogue(database)
  const shared = (rows: Catalogue['columns']): Catalogue['columns'] =>
    rows.filter(({ table }) => !String(table).startsWith('gateway_'))
  assert.deepEqual(shared(now.columns), reference.columns)
  const versions = await database.query('SELECT version FROM _migrations ORDER BY version')
  assert.deepEqual(
    versions.map(({ version }) => version),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  const [appliedNow] = await database.query('SELECT max(applied_at) AS at FROM _migrations')
  assert.deepEqual(appliedNow, appliedBefore, 'nothing was applied again')
  const [person] = await database.query('SELECT email FROM principal_emails')
  assert.deepEqual(person, { email: 'alice@example.com' })
})

test('migration: a session that the reference minted goes on here', async () => {
  // Made by hand in the form of its tokens: key id of the secret, claims in its order.
  const token = sessionToken(gateway.url)
  assert.equal((await send(`${gateway.url}/v1/models`, { token })).status, 200)
})

test('migration: a session minted here has the form that the reference verifies', async () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const begun = await send(`${gateway.url}/oauth/device_authorization`, {
    headers: form,
    body: 'surface=claude_code',
  })
  const { device_code, user_code } = JSON.parse(begun.body)
  const browser = createHeadlessBrowser()
  await browser.fetch(`${gateway.url}/device?user_code=${String(user_code)}`)
  const posted = await browser.post(`${gateway.url}/device`, { user_code: String(user_code) })
  const callback = `${gateway.url}/oauth/callback`
  const back = await browser.follow(posted.headers.get('location') ?? '', callback)
  await browser.fetch(back.url)
  const polled = await send(`${gateway.url}/oauth/token`, {
    headers: form,
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: String(device_code),
    }).toString(),
  })
  const token = String(JSON.parse(polled.body).access_token)
  const [head = '', body = '', signature] = token.split('.')
  const decode = (part: string): unknown =>
    JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
  assert.deepEqual(decode(head), {
    alg: 'HS256',
    typ: 'JWT',
    kid: createHash('sha256').update(sessionSecret).digest('hex').slice(0, 16),
  })
  assert.equal(
    signature,
    createHmac('sha256', sessionSecret).update(`${head}.${body}`).digest('base64url'),
  )
  const claims = decode(body)
  assert.ok(typeof claims === 'object' && claims !== null)
  const order = ['sub', 'email', 'name', 'groups', 'aud', 'iat', 'exp', 'iss']
  assert.deepEqual(
    Object.keys(claims),
    order.filter((name) => name in claims),
  )
})

test('migration: going back needs nothing but the tables that were there', async () => {
  gateway.kill('SIGTERM')
  assert.equal(await gateway.exited, 0)
  const tables = await database.query(
    `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'gateway\\_%'`,
  )
  // As docs/migration.md says, in its order.
  await database.query('DROP FUNCTION gateway_person_spent() CASCADE')
  await database.query('DROP FUNCTION gateway_person_named() CASCADE')
  await database.query('DROP FUNCTION gateway_person_text(text, text, text)')
  for (const { tablename } of tables) await database.query(`DROP TABLE ${String(tablename)}`)
  await database.query('DROP FUNCTION gateway_spend_sync(jsonb)')
  await database.query('DROP FUNCTION gateway_spend_count(jsonb)')
  assert.deepEqual(await readCatalogue(database), reference)
})
