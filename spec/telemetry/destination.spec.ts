/** One collector on a real server: what reaches it, what it may do wrong, and the bounds. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test, type TestContext } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { EgressRequest } from '../../lib/egress/egress.ts'
import { systemClock, type Clock } from '../../lib/kernel/clock.ts'
import type { ForwardConfig } from '../../lib/telemetry/config.ts'
import {
  createDestination,
  type Export,
  heldBytesMax,
  inFlightMax,
} from '../../lib/telemetry/destination.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { createRecorder } from '../support/recorder.ts'

const egress = createEgress({ allowLoopback: true, clock: systemClock })
after(() => egress.close())

const metrics = (changes: Partial<Export> = {}): Export => ({
  signal: 'metrics',
  body: Buffer.from('{"resourceMetrics":[]}'),
  contentType: 'application/json',
  contentEncoding: undefined,
  ...changes,
})

async function setUp(
  t: TestContext,
  changes: Partial<ForwardConfig> & { clock?: Clock; path?: string; via?: typeof egress } = {},
) {
  const { clock = systemClock, path = '', via = egress, ...config } = changes
  const collector = await createFakeUpstream()
  t.after(() => collector.close())
  const { log, lines } = createRecorder()
  const destination = createDestination(
    { egress: via, clock, log },
    {
      url: collector.url + path,
      headers: {},
      metrics: true,
      logs: false,
      traces: false,
      ...config,
    },
  )
  const deliver = async (wanted: Export = metrics()): Promise<void> => {
    await destination.deliver(wanted)
  }
  return { collector, destination, deliver, lines, url: collector.url + path }
}

test('telemetry destination: bytes arrive as they came, with the headers that say how they are written', async (t) => {
  const { collector, deliver, lines } = await setUp(t)
  const body = randomBytes(200_000)
  await deliver(metrics({ body, contentType: 'application/x-protobuf', contentEncoding: 'gzip' }))
  const received = await collector.request(0)
  assert.deepEqual(received.body, body)
  assert.deepEqual([received.method, received.url], ['POST', '/v1/metrics'])
  assert.equal(received.headers['content-type'], 'application/x-protobuf')
  assert.equal(received.headers['content-encoding'], 'gzip')
  assert.equal(received.headers['content-length'], '200000')
  assert.deepEqual(Object.keys(received.headers).toSorted(), [
    'accept',
    'connection',
    'content-encoding',
    'content-length',
    'content-type',
    'host',
    'user-agent',
  ])
  assert.deepEqual(lines, [])
})

test('telemetry destination: configured headers are sent and win, those of the connection are not', async (t) => {
  const { collector, deliver } = await setUp(t, {
    headers: {
      Authorization: 'Bearer collector',
      'USER-AGENT': 'mine/1',
      'X-Scope': 'täm',
      'Content-Length': '3',
      'transfer-encoding': 'chunked',
      Host: 'elsewhere',
    },
  })
  await deliver()
  const { headers, body } = await collector.request(0)
  assert.equal(headers['authorization'], 'Bearer collector')
  assert.equal(headers['user-agent'], 'mine/1')
  assert.equal(headers['x-scope'], 'täm')
  assert.equal(headers['transfer-encoding'], undefined)
  assert.match(String(headers['host']), /^127\.0\.0\.1:/)
  assert.equal(body.toString(), '{"resourceMetrics":[]}')
})

test('telemetry destination: the signal’s path is put behind the address as it stands', async (t) => {
  for (const [path, target] of [
    ['/', '/v1/logs'],
    ['/otlp/', '/otlp/v1/logs'],
    ['/otlp//', '/otlp//v1/logs'],
    ['/v1/logs', '/v1/logs/v1/logs'],
    ['/x?api=1', '/x?api=1/v1/logs'],
  ]) {
    const { collector, deliver } = await setUp(t, { path: path ?? '' })
    await deliver(metrics({ signal: 'logs' }))
    assert.equal((await collector.request(0)).url, target)
  }
})

test('telemetry destination: an empty report is delivered too', async (t) => {
  const { collector, deliver, lines } = await setUp(t)
  await deliver(metrics({ body: new Uint8Array(0) }))
  assert.equal((await collector.request(0)).headers['content-length'], '0')
  assert.deepEqual(lines, [])
})

test('telemetry destination: connections serve delivery after delivery', async (t) => {
  const { collector, deliver } = await setUp(t)
  for (let count = 0; count < 10; count++) await deliver()
  assert.equal(collector.requests.length, 10)
  assert.ok(collector.connections <= 2, `${collector.connections} connections`)
})

test('telemetry destination: error statuses and redirects count, the fifth pauses', async (t) => {
  const { collector, deliver, destination, lines, url } = await setUp(t)
  const behaviours = [500, 302, 404, 429, 401].map((status) => ({
    status,
    headers: ['location', `${url}/elsewhere`],
  }))
  collector.next(...behaviours)
  for (const _ of behaviours) await deliver()
  assert.equal(destination.admits(1), false)
  await deliver()
  assert.equal(
    collector.requests.length,
    5,
    'neither a redirect followed nor a skipped export sent',
  )
  assert.deepEqual(lines, [
    `warn otel forward to ${url} failed: 500 Internal Server Error`,
    `warn otel forward to ${url} failed: 302 Found`,
    `warn otel forward to ${url} failed: 404 Not Found`,
    `warn otel forward to ${url} failed: 429 Too Many Requests`,
    `warn otel forward to ${url} failed: 401 Unauthorized`,
    `warn otel dest ${url} tripped; skipping 30s`,
  ])
})

test('telemetry destination: refused payloads never pause it', async (t) => {
  const { collector, deliver, destination, lines } = await setUp(t)
  const statuses = [400, 413, 415, 422, 431]
  collector.next(
    ...statuses.map((status) => ({ status })),
    ...statuses.map((status) => ({ status })),
  )
  for (let count = 0; count < 10; count++) await deliver()
  assert.equal(destination.admits(1), true)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /refused an export's payload: 400 Bad Request \(not counted/)
})

test('telemetry destination: resets and closed ports count as failures', async (t) => {
  const { collector, deliver, lines } = await setUp(t)
  collector.next({ fault: 'reset-before-head' })
  await deliver()
  assert.match(lines[0] ?? '', /failed: ECONNRESET/)
  await collector.close()
  await deliver()
  assert.match(lines[1] ?? '', /failed: (ECONNREFUSED|ECONNRESET)/)
})

test('telemetry destination: one that never answers is given 10 s', async (t) => {
  const clock = createFakeClock()
  const { collector, destination, lines } = await setUp(t, { clock })
  collector.always({ fault: 'stall-before-head' })
  void destination.deliver(metrics())
  const { closed } = await collector.request(0)
  await clock.advance(9999)
  assert.equal(destination.inFlight, 1)
  await clock.advance(1)
  await destination.finish()
  assert.equal(await closed, 'cut')
  assert.match(lines[0] ?? '', /failed: .*timed out after 10000 ms/)
})

test('telemetry destination: an answer without an end holds its delivery no longer than 10 s', async (t) => {
  const clock = createFakeClock()
  const head = Promise.withResolvers<void>()
  const via = {
    ...egress,
    request: async (wanted: EgressRequest) => {
      const response = await egress.request(wanted)
      head.resolve()
      return response
    },
  }
  const { collector, destination, lines } = await setUp(t, { clock, via })
  collector.next({ body: ['{', { ending: 'stall' }] }, { body: [{ flood: 10_000_000 }] })
  void destination.deliver(metrics())
  await head.promise
  await clock.advance(9999)
  assert.equal(destination.inFlight, 1)
  await clock.advance(1)
  await destination.finish()
  void destination.deliver(metrics())
  await destination.finish()
  assert.equal(await (await collector.request(1)).closed, 'cut', 'a long answer is not read')
  assert.deepEqual(lines, [], 'the status said that it was taken')
})

test('telemetry destination: the network guard holds, and says so', async (t) => {
  const guarded = createEgress({ allowLoopback: false, clock: systemClock })
  t.after(() => guarded.close())
  const { collector, deliver, lines } = await setUp(t, { via: guarded })
  await deliver()
  assert.equal(collector.connections, 0)
  assert.match(lines[0] ?? '', /ECONNREFUSED_SSRF/)
})

test('telemetry destination: no credential of its address is logged', async (t) => {
  const { collector, deliver, lines } = await setUp(t, { path: '/in?api-key=hunter2' })
  collector.next({ status: 500 })
  await deliver()
  assert.match(lines[0] ?? '', /\/in failed: 500/)
  assert.doesNotMatch(lines.join(), /hunter2/)
})

test('telemetry destination: at most 32 deliveries are under way, the newest beyond are dropped and counted', async (t) => {
  const clock = createFakeClock()
  const { collector, destination, lines } = await setUp(t, { clock })
  collector.always({ fault: 'stall-before-head' })
  for (let count = 0; count < inFlightMax + 10; count++) void destination.deliver(metrics())
  assert.equal(destination.inFlight, inFlightMax)
  await collector.request(inFlightMax - 1)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /limit 32 deliveries, 16 MiB\): dropped 1 export\(s\)/)
  await clock.advance(60_000)
  await destination.finish()
  assert.ok(lines.some((line) => line.includes('dropped 9 export(s)')))
  assert.equal(collector.requests.length, inFlightMax)
})

test('telemetry destination: bodies beyond 16 MiB together are dropped', async (t) => {
  const { collector, destination, lines } = await setUp(t)
  collector.always({ fault: 'stall-before-head' })
  void destination.deliver(metrics({ body: new Uint8Array(heldBytesMax - 10) }))
  void destination.deliver(metrics({ body: new Uint8Array(11) }))
  void destination.deliver(metrics({ body: new Uint8Array(10) }))
  assert.equal(destination.inFlight, 2)
  assert.match(lines[0] ?? '', /dropped 1 export/)
  destination.cut(new Error('over'))
  await destination.finish()
  assert.equal(destination.inFlight, 0)
  assert.equal(destination.admits(heldBytesMax), true, 'its memory is free again')
})
