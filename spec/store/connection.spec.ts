import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createConnector, type Connection } from '../../lib/store/connection.ts'
import { createDatabase, startServer } from '../support/database.ts'
import { targetOf } from '../support/store.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const pem = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../fixtures/store/tls', name), 'utf8')

const key = pem('server.key')
/** One server with TLS for `localhost`, one whose certificate names another host. */
const here = await startServer({ after }, { tls: { certificate: pem('here.crt'), key } })
const elsewhere = await startServer({ after }, { tls: { certificate: pem('elsewhere.crt'), key } })

function connectorTo(url: string, options: { hasExtraCa?: boolean; timeoutMs?: number } = {}) {
  const { hasExtraCa = false, timeoutMs = 10_000 } = options
  const clock = systemClock
  return createConnector({ target: targetOf(url), connectTimeoutMs: timeoutMs, hasExtraCa, clock })
}

async function openTo(
  t: TestContext,
  ...parts: Parameters<typeof connectorTo>
): Promise<Connection> {
  const connection = await connectorTo(...parts).open()
  t.after(() => connection.destroy())
  return connection
}

async function ask(connection: Connection, expression: string): Promise<unknown> {
  const { rows } = await connection.client.query<{ answer: unknown }>(
    `SELECT ${expression} AS answer`,
  )
  return rows[0]?.answer
}

const usesTls = '(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())'

function withMode(url: string, mode: string): string {
  return `${url.replace('127.0.0.1', 'localhost')}?sslmode=${mode}`
}

/** The CA of the fixtures in place of NODE_EXTRA_CA_CERTS, which is read at the process's start. */
function trustFixtureCa(t: TestContext): void {
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, pem('ca.crt')])
  t.after(() => setDefaultCACertificates(trusted))
}

test('store connection: a server without TLS is reached by default and with disable', async (t) => {
  const { url } = await createDatabase(t)
  for (const suffix of ['', '?sslmode=prefer', '?sslmode=disable']) {
    const connection = await openTo(t, url + suffix)
    assert.equal(await ask(connection, usesTls), false, suffix)
  }
})

test('store connection: a server without TLS is refused by require and stricter', async (t) => {
  const { url } = await createDatabase(t)
  for (const mode of ['require', 'verify-ca', 'verify-full']) {
    await assert.rejects(connectorTo(`${url}?sslmode=${mode}`).open(), /does not support SSL/, mode)
  }
})

test('store connection: prefer and require use TLS without asking who it is', async (t) => {
  for (const server of [here, elsewhere]) {
    for (const mode of ['prefer', 'require']) {
      const connection = await openTo(t, withMode(server.url, mode))
      assert.equal(await ask(connection, usesTls), true, mode)
    }
  }
  const plain = await openTo(t, withMode(here.url, 'disable'))
  assert.equal(await ask(plain, usesTls), false)
})

test('store connection: an unknown CA is refused by verify-ca, verify-full and require with an extra CA', async () => {
  for (const mode of ['verify-ca', 'verify-full']) {
    await assert.rejects(connectorTo(withMode(here.url, mode)).open(), /certificate/, mode)
  }
  const strict = connectorTo(withMode(here.url, 'require'), { hasExtraCa: true })
  await assert.rejects(strict.open(), /certificate/)
})

test('store connection: with a known CA only verify-full minds the name', async (t) => {
  trustFixtureCa(t)
  for (const mode of ['verify-ca', 'require']) {
    const connection = await openTo(t, withMode(elsewhere.url, mode), { hasExtraCa: true })
    assert.equal(await ask(connection, usesTls), true, mode)
  }
  await assert.rejects(connectorTo(withMode(elsewhere.url, 'verify-full')).open(), /altnames/)
  const connection = await openTo(t, withMode(here.url, 'verify-full'))
  assert.equal(await ask(connection, usesTls), true)
  // An address is checked too, against the addresses in the certificate.
  await openTo(t, `${here.url}?sslmode=verify-full`)
  await assert.rejects(connectorTo(`${elsewhere.url}?sslmode=verify-full`).open(), /IP/)
})

test('store connection: prefer remembers that a server has no TLS, and asks again when it must', async (t) => {
  const plain = await startServer(t)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port: plain.port })
  const connector = connectorTo(proxy.through(plain.url))
  assert.notEqual(connector.settings().ssl, false)
  const first = await connector.open()
  t.after(() => first.destroy())
  assert.equal(await ask(first, usesTls), false)
  assert.equal(connector.settings().ssl, false)

  // The rules of this server let nobody in without TLS.
  const strict = await startServer(t, {
    tls: { certificate: pem('here.crt'), key },
    settings: { hba_file: await writeStrictRules(t) },
  })
  await assert.rejects(connectorTo(`${strict.url}?sslmode=disable`).open(), /no encryption/)
  const owner = await openTo(t, strict.url)
  await owner.client.query(`ALTER ROLE postgres PASSWORD '${new URL(plain.url).password}'`)
  proxy.aim(strict.port)
  const second = await connector.open()
  t.after(() => second.destroy())
  assert.equal(await ask(second, usesTls), true)
  assert.notEqual(connector.settings().ssl, false)
})

test('store connection: prefer holds for connections opened at the same time', async (t) => {
  const { url } = await createDatabase(t)
  const connector = connectorTo(url)
  const opened = await Promise.all([1, 2, 3, 4, 5].map(() => connector.open()))
  for (const connection of opened) connection.destroy()
  assert.equal(opened.length, 5)
})

test('store connection: parameters of the URL hold for the session', async (t) => {
  const { url } = await createDatabase(t)
  const parameters = 'search_path=one%2Ctwo&application_name=mine&options=-c%20work_mem%3D5MB'
  const connection = await openTo(t, `${url}?${parameters}`)
  const setting = (name: string) => ask(connection, `current_setting('${name}')`)
  assert.equal(await setting('search_path'), 'one,two')
  assert.equal(await setting('application_name'), 'mine')
  assert.equal(await setting('work_mem'), '5MB')
})

test('store connection: the server ends what nobody waits for any more', async (t) => {
  const { url } = await createDatabase(t)
  const connection = await openTo(t, url)
  const setting = (name: string) => ask(connection, `current_setting('${name}')`)
  assert.equal(await setting('statement_timeout'), '30s')
  assert.equal(await setting('idle_in_transaction_session_timeout'), '30s')
  assert.equal(await setting('application_name'), 'apps-gateway')
})

test('store connection: an unknown parameter, role, password or database is the server’s error', async (t) => {
  const { url } = await createDatabase(t)
  const changed = (change: (url: URL) => void): string => {
    const copy = new URL(url)
    change(copy)
    return copy.href
  }
  const cases: [string, RegExp][] = [
    [changed((at) => at.searchParams.set('no_such', '1')), /unrecognized .* "no_such"/],
    [changed((at) => (at.username = 'nobody_here')), /password authentication failed/],
    [changed((at) => (at.password = 'wrong')), /password authentication failed/],
    [changed((at) => (at.pathname = '/nodb')), /database "nodb" does not exist/],
  ]
  for (const [wrong, expected] of cases) await assert.rejects(connectorTo(wrong).open(), expected)
})

test('store connection: a server that accepts and then says nothing costs the timeout alone', async (t) => {
  const { url } = await createDatabase(t)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port: Number(new URL(url).port) })
  proxy.hang()
  const connector = connectorTo(proxy.through(url), { timeoutMs: 300 })
  await assert.rejects(
    connector.open(),
    /connecting to Postgres at 127\.0\.0\.1:\d+ timed out after 300 ms/,
  )
  await proxy.forward()
  const connection = await connector.open()
  t.after(() => connection.destroy())
  assert.equal(await ask(connection, '1'), 1)
})

test('store connection: one that breaks while idle says so and ends nothing else', async (t) => {
  const { url } = await createDatabase(t)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port: Number(new URL(url).port) })
  const connection = await openTo(t, proxy.through(url))
  assert.equal(connection.usable(), true)
  const ended = new Promise((resolve) => connection.client.once('end', resolve))
  proxy.cut()
  await ended
  assert.equal(connection.usable(), false)
})

async function writeStrictRules(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  const path = join(folder, 'pg_hba.conf')
  await writeFile(path, 'hostssl all all 127.0.0.1/32 scram-sha-256\n')
  return path
}
