/** Telemetry through the real gateway process: what clients are told, what collectors get. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { attribute, decode, encode } from '../telemetry/otlp-schema.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const collector = await createFakeUpstream()
const other = await createFakeUpstream()
after(() => Promise.all([collector.close(), other.close()]))
const world = {
  postgresUrl: database.url,
  issuer: provider.issuer,
  upstream: 'http://127.0.0.1:9',
}
const gateway = await startGateway(
  { after },
  {
    ...world,
    config: {
      limits: { max_request_bytes: 100_000 },
      telemetry: {
        forward_to: [
          { url: collector.url, headers: { Authorization: 'Bearer collector' } },
          { url: `${other.url}/otlp/`, logs: true },
        ],
        resource_attributes: { team: 'platform', 'cost.center': 'x/y:z@1' },
      },
      managed: {
        policies: [
          { match: { groups: ['own'] }, cli: { env: { OTEL_LOGS_EXPORTER: 'none' } }, desktop: {} },
          { cli: {}, desktop: {} },
        ],
      },
    },
  },
)
const token = sessionToken(gateway.url)

test('telemetry: a report is answered at once without a body or a type, and reaches the collectors', async () => {
  const body = gzipSync(Buffer.from('not looked at'))
  const reply = await send(`${gateway.url}/v1/metrics?x=1`, {
    token,
    body,
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
      cookie: 'a=b',
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    },
  })
  assert.deepEqual([reply.status, reply.body], [200, ''])
  assert.equal(reply.headers['content-type'], undefined)
  assert.equal(reply.headers['content-length'], '0')
  const [first, second] = await Promise.all([collector.request(0), other.request(0)])
  assert.deepEqual(first.body, body)
  assert.deepEqual(second.body, body)
  assert.deepEqual([first.url, second.url], ['/v1/metrics', '/otlp/v1/metrics'])
  assert.equal(first.headers['authorization'], 'Bearer collector')
  assert.equal(second.headers['authorization'], undefined)
  for (const { headers } of [first, second]) {
    assert.equal(headers['content-encoding'], 'gzip')
    assert.equal(headers['cookie'], undefined)
    assert.equal(headers['traceparent'], undefined)
  }
})

test('telemetry: JSON passes as JSON, and a signal goes only where it is wanted', async () => {
  const seen = collector.requests.length
  const reply = await send(`${gateway.url}/v1/logs`, {
    token,
    body: '{"resourceLogs":[]}',
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(reply.status, 200)
  const received = await other.request(1)
  assert.equal(received.url, '/otlp/v1/logs')
  assert.equal(received.headers['content-type'], 'application/json')
  assert.equal(received.body.toString(), '{"resourceLogs":[]}')
  assert.equal((await send(`${gateway.url}/v1/traces`, { token, body: 'x' })).status, 200)
  assert.equal(collector.requests.length, seen)
})

test('telemetry: success is told whatever the collector does', async () => {
  collector.next({ status: 500 }, { status: 400 }, { fault: 'reset-before-head' })
  for (let count = 0; count < 3; count++) {
    const reply = await send(`${gateway.url}/v1/metrics`, { token, body: 'x' })
    assert.deepEqual([reply.status, reply.body], [200, ''])
  }
  await gateway.line(/warn otel forward to http:\S+ failed: 500 Internal Server Error/)
  await gateway.line(/warn otel dest http:\S+ refused an export's payload: 400 Bad Request/)
  await gateway.line(/warn otel forward to http:\S+ failed: ECONNRESET/)
})

test('telemetry: without a session, of another kind, or too large it is refused as everywhere', async () => {
  const url = `${gateway.url}/v1/metrics`
  for (const path of ['metrics', 'logs', 'traces']) {
    assert.equal((await send(`${gateway.url}/v1/${path}`, { body: 'x' })).status, 401, path)
  }
  assert.equal((await send(url, { token })).status, 404)
  assert.equal((await send(`${gateway.url}/v1/profiles`, { token, body: 'x' })).status, 404)
  assert.equal((await send(url, { token, body: 'x'.repeat(100_001) })).status, 413)
  const socket = connect(gateway.port, '127.0.0.1')
  socket.write(
    `POST /v1/metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  )
  const [head] = await once(socket, 'data')
  assert.match(String(head), /^HTTP\/1\.1 411 /)
  socket.destroy()
})

test('telemetry: clients are told to report here, and a policy has the last word', async () => {
  const envOf = async (claims: object): Promise<unknown> => {
    const reply = await send(`${gateway.url}/managed/settings`, {
      token: sessionToken(gateway.url, { ...claims }),
    })
    return JSON.parse(reply.body).settings.env
  }
  const pushed = {
    CLAUDE_CODE_ENABLE_TELEMETRY: '1',
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_LOGS_EXPORTER: 'otlp',
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_EXPORTER_OTLP_ENDPOINT: gateway.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_RESOURCE_ATTRIBUTES: 'team=platform,cost.center=x/y:z@1',
  }
  assert.deepEqual(await envOf({}), pushed)
  assert.deepEqual(await envOf({ groups: ['own'] }), { ...pushed, OTEL_LOGS_EXPORTER: 'none' })
})

test('telemetry: a Desktop is told where to report, with labels for its person', async () => {
  const { body } = await send(`${gateway.url}/user/bootstrap`, { token })
  const { otlpEndpoint, otlpProtocol, otlpResourceAttributes } = JSON.parse(body)
  assert.deepEqual([otlpEndpoint, otlpProtocol], [gateway.url, 'http/protobuf'])
  assert.deepEqual(otlpResourceAttributes, {
    team: 'platform',
    'cost.center': 'x/y:z@1',
    'enduser.id': 'alice@example.com',
    'user.email': 'alice@example.com',
    'user.groups': 'eng',
    'enduser.sub': 'u-alice',
  })
})

test('telemetry: the log names the relay at boot, and no report is audited', () => {
  const log = gateway.lines.join('\n')
  assert.match(log, /info telemetry relay: 2 destination\(s\), signals enabled: metrics,logs\n/)
  assert.doesNotMatch(log, /"evt":"(telemetry|otel)/)
  assert.equal(log.includes(token), false)
})

test('telemetry: without policies clients get the environment alone', async (t) => {
  const alone = await startGateway(t, {
    ...world,
    config: { telemetry: { forward_to: [{ url: collector.url }] } },
  })
  const reply = await send(`${alone.url}/managed/settings`, { token: sessionToken(alone.url) })
  assert.equal(reply.status, 200)
  const { settings } = JSON.parse(reply.body)
  assert.deepEqual(Object.keys(settings), ['env'])
  assert.equal(settings.env.OTEL_EXPORTER_OTLP_ENDPOINT, alone.url)
  assert.equal((await alone.audit('managed.serve'))['policy_index'], 0)
})

test('telemetry: a shutdown waits for the deliveries under way', async (t) => {
  const slow = await createFakeUpstream()
  t.after(() => slow.close())
  slow.always({ headAfterMs: 3000 })
  const leaving = await startGateway(t, {
    ...world,
    config: { telemetry: { forward_to: [{ url: slow.url }] } },
  })
  await send(`${leaving.url}/v1/metrics`, { token: sessionToken(leaving.url), body: 'last words' })
  const { closed } = await slow.request(0)
  leaving.kill('SIGTERM')
  assert.equal(await leaving.exited, 0)
  assert.equal(await closed, 'complete')
})

test('telemetry: a shutdown ends deliveries when the window is over, and says how many', async (t) => {
  const hung = await createFakeUpstream()
  t.after(() => hung.close())
  hung.always({ fault: 'stall-before-head' })
  const leaving = await startGateway(t, {
    ...world,
    config: { telemetry: { forward_to: [{ url: hung.url }] } },
    environment: { CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS: '1500' },
  })
  await send(`${leaving.url}/v1/metrics`, { token: sessionToken(leaving.url), body: 'x' })
  await hung.request(0)
  leaving.kill('SIGTERM')
  assert.equal(await leaving.exited, 0)
  assert.match(leaving.lines.join('\n'), /shutdown: gave up 1 telemetry report\(s\)/)
})

test('telemetry: without a configuration reports are taken and thrown away', async (t) => {
  const none = await startGateway(t, world)
  const bearer = sessionToken(none.url)
  for (const path of ['metrics', 'logs', 'traces']) {
    const reply = await send(`${none.url}/v1/${path}`, { token: bearer, body: 'anything' })
    assert.deepEqual([reply.status, reply.body], [200, ''])
  }
  assert.match(none.lines.join('\n'), /telemetry relay: not configured/)
  assert.equal((await send(`${none.url}/managed/settings`, { token: bearer })).status, 404)
})

test('telemetry: with verify_identity nobody reports as somebody else', async (t) => {
  const seen = collector.requests.length
  const strict = await startGateway(t, {
    ...world,
    config: {
      telemetry: { forward_to: [{ url: collector.url, logs: true }] },
      extensions: { telemetry: { verify_identity: true } },
    },
  })
  const body = encode('Logs', {
    resourceLogs: [
      { scopeLogs: [{ logRecords: [{ attributes: [attribute('user.id', 'boss')] }] }] },
    ],
  })
  const reply = await send(`${strict.url}/v1/logs`, {
    token: sessionToken(strict.url),
    body: gzipSync(body),
    headers: { 'content-encoding': 'gzip', 'content-type': 'application/x-protobuf' },
  })
  assert.equal(reply.status, 200)
  const received = await collector.request(seen)
  assert.equal(received.headers['content-encoding'], undefined)
  const own = attribute('user.id', 'u-alice')
  assert.deepEqual(decode('Logs', received.body), {
    resourceLogs: [
      {
        scopeLogs: [{ logRecords: [{ attributes: [own] }] }],
        resource: {
          attributes: [
            own,
            attribute('user.email', 'alice@example.com'),
            attribute('user.groups', 'eng'),
          ],
        },
      },
    ],
  })
  assert.doesNotMatch(strict.lines.join('\n'), /extensions\.telemetry.*(effect|supported)/)
})
