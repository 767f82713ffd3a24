/** The gateway's own numbers and its audit file, from a real process. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { parse as parseYaml } from 'yaml'
import { open, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { type Exposition, readExposition } from '../support/exposition.ts'
import { createFakeUpstream, messageEvents, messageJson } from '../support/fake-upstream.ts'
import { freePort, spawnGateway, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'gateway-metrics-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const port = await freePort()
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const key = join(folder, 'key.pem')
const publicPem = join(folder, 'public.pem')
writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
writeFileSync(publicPem, publicKey.export({ type: 'spki', format: 'pem' }))
const auditFile = join(folder, 'audit.log')
const options = {
  postgresUrl: database.url,
  issuer: provider.issuer,
  upstream: upstream.url,
  config: {
    admin: {},
    extensions: {
      metrics: { port },
      audit: { file: auditFile, sign_key_file: key, sign_interval_seconds: 1 },
    },
  },
}
const collector = await createFakeUpstream()
after(() => collector.close())
const gateway = await startGateway(
  { after },
  {
    ...options,
    config: {
      ...options.config,
      telemetry: { forward_to: [{ url: `${collector.url}/otlp?key=secret` }] },
      extensions: { ...options.config.extensions, telemetry: { queue_bytes: 1_048_576 } },
    },
  },
)

async function scrape(): Promise<Exposition> {
  const reply = await send(`http://127.0.0.1:${port}/metrics`)
  assert.equal(reply.status, 200)
  assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  return readExposition(reply.body)
}

const call = (model: string, stream = false) =>
  send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: JSON.stringify({ model, max_tokens: 5, messages: [], stream }),
  })

test('metrics: calls, tokens, money, times and refusals are counted', async () => {
  upstream.next({ status: 529, body: '{}' })
  assert.equal((await call('claude-sonnet-4-6')).status, 529)
  upstream.next({ body: messageJson('Hello') })
  assert.equal((await call('CLAUDE-sonnet-4-6')).status, 200)
  upstream.next({ headers: ['content-type', 'text/event-stream'], body: messageEvents('Hello') })
  assert.equal((await call('claude-sonnet-4-6', true)).status, 200)
  for (let index = 0; index < 5; index++) await call(`invented-${index}`)
  await send(`${gateway.url}/v1/models`)
  const { samples } = await scrape()
  const of = (name: string): number => samples.get(name) ?? 0
  const upstreamLabel = 'upstream="anthropic"'
  assert.equal(
    of(
      `gateway_inference_total{${upstreamLabel},model="claude-sonnet-4-6",outcome="complete",status="200"}`,
    ),
    2,
  )
  assert.equal(
    of('gateway_inference_total{upstream="none",model="other",outcome="refused",status="400"}'),
    5,
  )
  assert.equal(of('gateway_tokens_total{kind="input",model="claude-sonnet-4-6"}'), 2000)
  assert.ok(of(`gateway_spend_cents_total{${upstreamLabel}}`) > 0.5)
  assert.equal(of(`gateway_upstream_attempts_total{${upstreamLabel},result="529"}`), 1)
  assert.equal(of(`gateway_upstream_attempts_total{${upstreamLabel},result="200"}`), 2)
  assert.equal(of('gateway_http_requests_total{route="/v1/messages",status="200"}'), 2)
  assert.equal(of('gateway_http_requests_total{route="/v1/models",status="401"}'), 1)
  assert.equal(of('gateway_auth_denied_total{reason="missing_token"}'), 1)
  assert.equal(of('gateway_added_latency_seconds_count'), 3)
  assert.ok(of('gateway_added_latency_seconds_sum') > 0)
  assert.equal(of(`gateway_ttfb_seconds_count{${upstreamLabel}}`), 3)
  assert.equal(of('gateway_ready'), 1)
  assert.ok(of('process_resident_memory_bytes') > 1e7)
  assert.ok([...samples.keys()].some((name) => name.startsWith('gateway_build_info{version=')))
})

test('metrics: an open stream, what waits for a collector and who signed out are seen', async () => {
  const [head = '', ...events] = messageEvents('one two three')
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: [head, { waitMs: 1000 }, ...events],
  })
  const before = (await scrape()).samples
  assert.equal(before.get('gateway_open_streams'), 0)
  const { head: reply } = open(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 5, messages: [], stream: true }),
  })
  const response = await reply
  collector.always({ status: 503 })
  const token = sessionToken(gateway.url, { jti: 'signs-out' })
  await send(`${gateway.url}/v1/metrics`, { token, body: 'x'.repeat(1000) })
  await collector.request(0)
  const revoked = await send(`${gateway.url}/oauth/revoke`, {
    method: 'POST',
    body: `token=${token}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  assert.equal(revoked.status, 200)
  const { samples } = await scrape()
  const of = (name: string): unknown => samples.get(name)
  assert.equal(of('gateway_open_streams'), 1)
  assert.equal(of('gateway_open_calls'), 1)
  assert.equal(of('gateway_telemetry_queue_bytes'), 1000)
  assert.equal(of(`gateway_telemetry_queue_reports{destination="${collector.url}/otlp"}`), 1)
  assert.equal(of('gateway_revoked_sessions'), 1)
  const counted = (from: typeof samples) => from.get('gateway_added_latency_seconds_count') ?? 0
  assert.equal(counted(samples), counted(before) + 1, 'counted when the head is out')
  await readAll(response)
  const after_ = (await scrape()).samples
  assert.equal(after_.get('gateway_open_streams'), 0)
  const added = (from: typeof samples) => from.get('gateway_added_latency_seconds_sum') ?? 0
  assert.ok(added(after_) - added(before) < 0.9, 'the wait for the upstream is not ours')
})

test('metrics: every family is described in docs/metrics.md, and no other', async () => {
  const { families } = await scrape()
  const document = readFileSync(join(root, 'docs/metrics.md'), 'utf8')
  const described = [...document.matchAll(/^\| `([a-z_]+)` \| (\w+) \|/gm)].map(
    ([, name = '', type = '']) => `${name} ${type}`,
  )
  const found = [...families].map(([name, type]) => `${name} ${type}`)
  assert.deepEqual(described.toSorted(), found.toSorted())
})

test('metrics: what dashboard and alerts ask for exists', async () => {
  const { families } = await scrape()
  const known = new Set(
    [...families].flatMap(([name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  )
  const dashboard: { panels: { title: string; targets?: { expr: string }[] }[] } = JSON.parse(
    readFileSync(join(root, 'deploy/grafana/gateway.json'), 'utf8'),
  )
  const rules: { groups: { rules: { alert: string; expr: string }[] }[] } = parseYaml(
    readFileSync(join(root, 'deploy/prometheus/alerts.yaml'), 'utf8'),
  )
  const asked = [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [title, expr] as const),
    ),
    ...rules.groups.flatMap((group) =>
      group.rules.map(({ alert, expr }) => [alert, expr] as const),
    ),
  ]
  assert.ok(asked.length > 20)
  for (const [place, expression] of asked) {
    const names = expression.match(/\b(gateway|process)_[a-z_]+\b/g) ?? []
    assert.ok(names.length > 0 || expression.startsWith('up{'), `${place}: ${expression}`)
    for (const name of names) assert.ok(known.has(name), `${place}: ${name}`)
  }
  const shown = asked.map(([, expression]) => expression).join('\n')
  for (const name of families.keys()) assert.ok(shown.includes(name), `${name} is nowhere shown`)
})

test('metrics: the alert for errors counts an outage of every upstream, and no refusal', async () => {
  upstream.next({ fault: 'reset-before-head' })
  assert.equal((await call('claude-sonnet-4-6')).status, 502)
  upstream.next({ status: 500, body: '{}' })
  assert.ok((await call('claude-sonnet-4-6')).status >= 500)
  upstream.next({ body: messageJson('Hello') })
  assert.equal((await call('claude-sonnet-4-6')).status, 200)
  assert.equal((await call('invented')).status, 400)
  const rules: { groups: { rules: { alert: string; expr: string }[] }[] } = parseYaml(
    readFileSync(join(root, 'deploy/prometheus/alerts.yaml'), 'utf8'),
  )
  const { expr = '' } =
    rules.groups.flatMap((group) => group.rules).find(({ alert }) => /ErrorRate/.test(alert)) ?? {}
  const selectors = [...expr.matchAll(/gateway_inference_total\{(\w+)=~"([^"]+)"\}/g)]
  assert.equal(selectors.length, 2)
  const { samples } = await scrape()
  const calls = [...samples.keys()].filter((name) => name.startsWith('gateway_inference_total{'))
  const seen = new Set<string>()
  for (const name of calls) {
    const labelOf = (label: string): string =>
      new RegExp(`${label}="([^"]*)"`).exec(name)?.[1] ?? ''
    const isCounted = selectors.some(([, label = '', pattern = '']) =>
      new RegExp(`^(?:${pattern})$`).test(labelOf(label)),
    )
    assert.equal(isCounted, labelOf('status').startsWith('5'), name)
    seen.add(labelOf('status'))
  }
  for (const status of ['200', '400', '502']) assert.ok(seen.has(status), status)
})

test('metrics: the listener answers its path alone, and a taken port ends the start', async (t) => {
  const at = `http://127.0.0.1:${port}`
  assert.equal((await send(`${at}/`)).status, 404)
  assert.equal((await send(`${at}/metrics`, { method: 'POST' })).status, 405)
  const head = await send(`${at}/metrics`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.body], [200, ''])
  assert.equal((await send(`${gateway.url}/metrics`)).status, 401)
  const second = await spawnGateway(t, {
    ...options,
    config: { extensions: { metrics: { port } } },
  })
  assert.equal(await second.exited, 1)
  assert.match(
    second.lines.join('\n'),
    /extensions\.metrics: cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE/,
  )
})

const run = promisify(execFile)
const verify = (...args: string[]) =>
  run(process.execPath, ['bin/gateway.ts', 'audit', 'verify', ...args], {
    cwd: root,
  })

test('audit file: a real process keeps it, shares it with no other, and it can be verified', async (t) => {
  const second = await spawnGateway(t, options)
  assert.equal(await second.exited, 1)
  assert.match(second.lines.join('\n'), /extensions\.audit: .*another gateway writes the file/)
  const mine = await startGateway(t, {
    ...options,
    config: {
      extensions: { audit: { ...options.config.extensions.audit, file: `${auditFile}.2` } },
    },
  })
  await send(`${mine.url}/v1/models`)
  await mine.audit('auth.denied')
  mine.kill('SIGTERM')
  assert.equal(await mine.exited, 0)
  const { stdout } = await verify('--file', `${auditFile}.2`, '--public-key', publicPem)
  assert.match(
    stdout,
    /: sound\n.* records follow each other\n.* \(all by this key\); 0 records since/,
  )
  const strict = ['--public-key', publicPem, '--max-unsigned']
  await verify('--file', `${auditFile}.2`, ...strict, '0')
  await verify('--file', `${auditFile}.2`, ...strict, '0s')
  const text = readFileSync(`${auditFile}.2`, 'utf8')
  // Cut behind the last signature: every hash is right, and what came after it is gone.
  const signed = text.trimEnd().split('\n')
  const cut = signed.slice(
    0,
    signed.findLastIndex((line) => line.includes('audit.signature')),
  )
  writeFileSync(`${auditFile}.3`, `${cut.join('\n')}\n`)
  for (const max of ['0', '0s']) {
    await assert.rejects(
      verify('--file', `${auditFile}.3`, '--max-unsigned', max),
      (error: { stdout: string; stderr: string; code: number }) => {
        assert.match(error.stdout, /: sound\n/)
        assert.match(error.stderr, /since the last signature, 0 are|signature for \d+ s, 0 s are/)
        return error.code === 2
      },
    )
  }
  await verify('--file', `${auditFile}.3`, '--max-unsigned', '1000')
  await verify('--file', `${auditFile}.3`, '--max-unsigned', '1h')
  const kept = text.split('\n').flatMap((line) => /"evt":"([\w.]+)"/.exec(line)?.[1] ?? [])
  assert.deepEqual(kept.slice(0, 2), ['audit.begin', 'config.load'])
  assert.ok(kept.includes('auth.denied'))
  writeFileSync(`${auditFile}.2`, text.replace('auth.denied', 'auth.danied'))
  await assert.rejects(
    verify('--file', `${auditFile}.2`),
    (error: { stdout: string; code: number }) => {
      assert.match(error.stdout, /BROKEN[^]*does not follow the line before it/)
      return error.code === 1
    },
  )
})

test('audit file: a process that was killed leaves one that the next goes on with', async (t) => {
  const file = `${auditFile}.3`
  const config = { extensions: { audit: { file, sign_interval_seconds: 60 } } }
  const first = await startGateway(t, { ...options, config })
  for (let index = 0; index < 20; index++) await send(`${first.url}/v1/models`)
  first.kill('SIGKILL')
  await first.exited
  const second = await startGateway(t, { ...options, config })
  second.kill('SIGTERM')
  assert.equal(await second.exited, 0)
  const { stdout } = await verify('--file', file)
  assert.match(stdout, /: sound\n/)
  assert.match(readFileSync(file, 'utf8'), /audit\.resume/)
})
