/** The relay between clients and collectors: what is answered, fanned out, bounded and drained. */
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Exchange } from '../../lib/http/exchange.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import type { ForwardConfig } from '../../lib/telemetry/config.ts'
import type { Signal } from '../../lib/telemetry/destination.ts'
import { createTelemetryRelay, type TelemetryRelay } from '../../lib/telemetry/relay.ts'
import { alice } from '../support/ask.ts'
import { makeExchange } from '../support/exchange.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { createRecorder } from '../support/recorder.ts'

const egress = createEgress({ allowLoopback: true, clock: systemClock })
after(() => egress.close())

const accepted = { status: 200, headers: [], body: null }

async function setUp(t: TestContext, ...wants: Partial<ForwardConfig>[]) {
  const collectors = await Promise.all(wants.map(() => createFakeUpstream()))
  t.after(() => Promise.all(collectors.map((collector) => collector.close())))
  const { log, lines } = createRecorder()
  const forward_to = collectors.map(({ url }, index) => ({
    url,
    headers: {},
    metrics: true,
    logs: false,
    traces: false,
    ...wants[index],
  }))
  const relay = createTelemetryRelay(
    { egress, clock: systemClock, log },
    { forward_to, resource_attributes: {} },
  )
  return { relay, collectors, lines }
}

function report(body: string, headers: Readonly<Record<string, string>> = {}): Exchange {
  return makeExchange({
    method: 'POST',
    query: '?from=client',
    body,
    headers: { 'content-length': String(Buffer.byteLength(body)), ...headers },
  })
}

const send = async (relay: TelemetryRelay, signal: Signal, exchange: Exchange): Promise<unknown> =>
  relay.handlers[signal](exchange, alice)

test('telemetry relay: each signal goes to every destination that wants it', async (t) => {
  const { relay, collectors } = await setUp(t, {}, { logs: true }, { metrics: false, traces: true })
  for (const signal of ['metrics', 'logs', 'traces'] as const) {
    assert.deepEqual(await send(relay, signal, report(signal)), accepted)
  }
  assert.equal(await relay.drain(10_000), 0)
  const received = collectors.map(({ requests }) =>
    requests.map(({ url, body }) => `${url} ${body.toString()}`).toSorted(),
  )
  assert.deepEqual(received, [
    ['/v1/metrics metrics'],
    ['/v1/logs logs', '/v1/metrics metrics'],
    ['/v1/traces traces'],
  ])
})

test('telemetry relay: only how the body is written is taken from the client’s headers', async (t) => {
  const { relay, collectors } = await setUp(t, {})
  await send(
    relay,
    'metrics',
    report('x', {
      authorization: 'Bearer developer',
      cookie: 'a=b',
      'user-agent': 'OTel-OTLP-Exporter-JavaScript/0.1',
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      'x-forwarded-for': '192.0.2.7',
      'x-custom': '1',
      'content-encoding': 'gzip',
    }),
  )
  const { headers } = (await collectors[0]?.request(0)) ?? {}
  assert.equal(headers?.['content-type'], 'application/x-protobuf')
  assert.equal(headers?.['content-encoding'], 'gzip')
  for (const name of ['authorization', 'cookie', 'traceparent', 'x-forwarded-for', 'x-custom']) {
    assert.equal(headers?.[name], undefined, name)
  }
  assert.doesNotMatch(String(headers?.['user-agent']), /OTel/)
  await relay.drain(10_000)
})

test('telemetry relay: without a destination for the signal the body is not even read', async (t) => {
  const { relay } = await setUp(t, {})
  const unread: Exchange = { ...report('x'), readBody: () => assert.fail('read') }
  assert.deepEqual(await send(relay, 'logs', unread), accepted)
  const none = createTelemetryRelay(
    { egress, clock: systemClock, log: createRecorder().log },
    undefined,
  )
  assert.deepEqual(await send(none, 'metrics', unread), accepted)
  assert.equal(await none.drain(0), 0)
})

test('telemetry relay: a destination that hangs or fails delays neither client nor others', async (t) => {
  const { relay, collectors } = await setUp(t, {}, {}, {})
  collectors[0]?.always({ fault: 'stall-before-head' })
  collectors[1]?.always({ status: 500 })
  for (let count = 0; count < 10; count++) {
    assert.deepEqual(await send(relay, 'metrics', report(`${count}`)), accepted)
  }
  await collectors[2]?.request(9)
  relay.cut()
  assert.ok((await relay.drain(10_000)) >= 10, 'what hung was given up')
})

test('telemetry relay: a destination that is paused gets nothing, and is not waited for', async (t) => {
  const { relay, collectors, lines } = await setUp(t, {})
  collectors[0]?.always({ status: 503 })
  for (let count = 0; count < 5; count++) {
    await send(relay, 'metrics', report('x'))
    await relay.drain(10_000)
  }
  assert.ok(lines.some((line) => line.endsWith('tripped; skipping 30s')))
  const unread: Exchange = { ...report('x'), readBody: () => assert.fail('read') }
  assert.deepEqual(await send(relay, 'metrics', unread), accepted)
  assert.equal(collectors[0]?.requests.length, 5)
})

test('telemetry relay: a body that cannot be read is refused as everywhere', async (t) => {
  const { relay } = await setUp(t, {})
  const broken: Exchange = { ...report('x'), readBody: () => Promise.reject(new Error('gone')) }
  await assert.rejects(send(relay, 'metrics', broken), /gone/)
})

test('telemetry relay: bodies being read are bounded, what is beyond is dropped and said', async (t) => {
  const { relay, collectors, lines } = await setUp(t, {})
  const size = 15 * 1024 * 1024
  const gate = Promise.withResolvers<Uint8Array>()
  const slow = (): Exchange => ({
    ...report('', { 'content-length': String(size) }),
    readBody: () => gate.promise,
  })
  const reading = Array.from({ length: 4 }, () => send(relay, 'metrics', slow()))
  const unread: Exchange = { ...slow(), readBody: () => assert.fail('read') }
  assert.deepEqual(await send(relay, 'metrics', unread), accepted)
  assert.match(lines[0] ?? '', /dropped 1 export/)
  gate.resolve(Buffer.from('short'))
  await Promise.all(reading)
  await collectors[0]?.request(3)
  assert.deepEqual(await send(relay, 'metrics', report('again')), accepted)
  await collectors[0]?.request(4)
  assert.equal(await relay.drain(10_000), 0)
})

test('telemetry relay: a drain waits for what is under way', async (t) => {
  const { relay, collectors } = await setUp(t, {}, {})
  collectors[0]?.always({ headAfterMs: 300 })
  await send(relay, 'metrics', report('x'))
  assert.equal(await relay.drain(30_000), 0)
  for (const collector of collectors) {
    assert.equal(await (await collector.request(0)).closed, 'complete')
  }
})

test('telemetry relay: when the window is over the rest is ended and counted', async (t) => {
  const { relay, collectors } = await setUp(t, {}, {})
  collectors[0]?.always({ fault: 'stall-before-head' })
  for (let count = 0; count < 3; count++) await send(relay, 'metrics', report('x'))
  await collectors[0]?.request(2)
  await collectors[1]?.request(2)
  assert.equal(await relay.drain(500), 3)
  assert.equal(await (await collectors[0]?.request(0))?.closed, 'cut')
})

test('telemetry relay: a cut ends a running drain', async (t) => {
  const { relay, collectors } = await setUp(t, {})
  collectors[0]?.always({ fault: 'stall-before-head' })
  await send(relay, 'metrics', report('x'))
  await collectors[0]?.request(0)
  const drained = relay.drain(60_000)
  relay.cut()
  await drained
})

test('telemetry relay: with verify_identity the session says who reports, and nothing unread passes', async (t) => {
  const { collectors, relay: plain } = await setUp(t, {})
  const { log, lines } = createRecorder()
  const url = collectors[0]?.url ?? ''
  const relay = createTelemetryRelay(
    { egress, clock: systemClock, log },
    {
      forward_to: [{ url, headers: {}, metrics: true, logs: true, traces: true }],
      resource_attributes: {},
    },
    { verify_identity: true, retry_seconds: 900 },
  )
  const forged =
    '{"resourceLogs":[{"resource":{"attributes":[{"key":"user.id","value":{"stringValue":"mallory"}}]}}]}'
  const headers = { 'content-type': 'application/json' }
  assert.deepEqual(await send(relay, 'logs', report(forged, headers)), accepted)
  const verified = (await collectors[0]?.request(0))?.body.toString() ?? ''
  assert.match(verified, /"key":"user.id","value":\{"stringValue":"u-alice"\}/)
  assert.doesNotMatch(verified, /mallory/)
  assert.deepEqual(await send(relay, 'logs', report('{', headers)), accepted)
  assert.equal(await relay.drain(10_000), 0)
  assert.equal(collectors[0]?.requests.length, 1)
  assert.match(lines.join(), /dropped 1 report\(s\) that could not be read/)
  await send(plain, 'metrics', report(forged, headers))
  assert.equal((await collectors[0]?.request(1))?.body.toString(), forged, 'off by default')
})

test('telemetry relay: with queue_bytes a report outlives a failure of its collector', async (t) => {
  const { collectors } = await setUp(t, {})
  const { log, lines } = createRecorder()
  const url = collectors[0]?.url ?? ''
  const relay = createTelemetryRelay(
    { egress, clock: systemClock, log },
    {
      forward_to: [{ url, headers: {}, metrics: true, logs: true, traces: true }],
      resource_attributes: {},
    },
    { queue_bytes: 1_048_576, retry_seconds: 900, verify_identity: false },
  )
  collectors[0]?.next({ status: 503 }, { fault: 'reset-before-head' })
  for (const text of ['a', 'b', 'c']) {
    assert.deepEqual(await send(relay, 'metrics', report(text)), accepted)
  }
  assert.equal(await relay.drain(10_000), 0)
  const taken = collectors[0]?.requests.map(({ body }) => body.toString()).toSorted()
  assert.equal(taken?.length, 5)
  assert.deepEqual([...new Set(taken)], ['a', 'b', 'c'])
  assert.match(lines.join(), /takes reports again: 2 delivered late/)
})

test('telemetry relay: a shutdown gives up what its collector still does not take', async (t) => {
  const { collectors } = await setUp(t, {})
  const { log } = createRecorder()
  const url = collectors[0]?.url ?? ''
  const relay = createTelemetryRelay(
    { egress, clock: systemClock, log },
    {
      forward_to: [{ url, headers: {}, metrics: true, logs: true, traces: true }],
      resource_attributes: {},
    },
    { queue_bytes: 1_048_576, retry_seconds: 900, verify_identity: false },
  )
  collectors[0]?.always({ status: 503 })
  for (const text of ['a', 'b']) await send(relay, 'metrics', report(text))
  assert.equal(await relay.drain(10_000), 2)
})

test('telemetry relay: a window that is over ends a drain with a queue too, and nothing is tried behind it', async (t) => {
  const { collectors } = await setUp(t, {})
  const { log } = createRecorder()
  const url = collectors[0]?.url ?? ''
  const relay = createTelemetryRelay(
    { egress, clock: systemClock, log },
    {
      forward_to: [{ url, headers: {}, metrics: true, logs: true, traces: true }],
      resource_attributes: {},
    },
    { queue_bytes: 1_048_576, retry_seconds: 900, verify_identity: false },
  )
  collectors[0]?.always({ fault: 'stall-before-head' })
  for (const text of ['a', 'b', 'c']) await send(relay, 'metrics', report(text))
  await collectors[0]?.request(2)
  const startedAt = performance.now()
  assert.equal(await relay.drain(300), 3)
  // Another try alone would hang for ten seconds.
  assert.ok(performance.now() - startedAt < 8000)
  assert.equal(collectors[0]?.requests.length, 3)
})

test('telemetry relay: a report that was read across a reload goes where the new file says', async (t) => {
  const { relay, collectors } = await setUp(t, {}, {})
  const [old, next] = collectors
  const to = (url = '') => ({
    forward_to: [{ url, headers: {}, metrics: true, logs: false, traces: false }],
    resource_attributes: {},
  })
  relay.use(to(old?.url), undefined)
  const gate = Promise.withResolvers<Uint8Array>()
  const slow: Exchange = { ...report('slow'), readBody: () => gate.promise }
  const under = send(relay, 'metrics', slow)
  relay.use(to(next?.url), undefined)
  gate.resolve(Buffer.from('slow'))
  assert.deepEqual(await under, accepted)
  assert.equal((await next?.request(0))?.body.toString(), 'slow')
  assert.equal(await relay.drain(10_000), 0)
  assert.equal(old?.requests.length, 0)
})
