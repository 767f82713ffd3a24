/** What waits for a collector while the configuration is replaced, on real servers. */
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createCollectors } from '../../lib/telemetry/collectors.ts'
import type { ForwardConfig } from '../../lib/telemetry/config.ts'
import type { Destination, Export } from '../../lib/telemetry/destination.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { createRecorder } from '../support/recorder.ts'

const egress = createEgress({ allowLoopback: true, clock: systemClock })
after(() => egress.close())

const report = (text: string): Export => ({
  signal: 'metrics',
  body: Buffer.from(text),
  contentType: 'application/x-protobuf',
  contentEncoding: undefined,
})
const queued = (queue_bytes: number) => ({
  queue_bytes,
  retry_seconds: 900,
  verify_identity: false,
})

async function setUp(t: TestContext) {
  const [a, b] = await Promise.all([createFakeUpstream(), createFakeUpstream()])
  t.after(() => Promise.all([a.close(), b.close()]))
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const collectors = createCollectors({ egress, clock, log })
  const to = (url: string, changes: Partial<ForwardConfig> = {}): ForwardConfig => ({
    url,
    headers: {},
    metrics: true,
    logs: false,
    traces: false,
    ...changes,
  })
  const only = (all: readonly Destination[]): Destination => {
    assert.equal(all.length, 1)
    return all[0] ?? assert.fail()
  }
  return { a, b, clock, lines, collectors, to, only }
}

const bodies = (collector: { readonly requests: readonly { readonly body: Buffer }[] }): string[] =>
  collector.requests.map(({ body }) => body.toString())

test('telemetry collectors: twenty reloads keep one queue and its one bound', async (t) => {
  const { a, collectors, to, only } = await setUp(t)
  a.always({ status: 503 })
  const destination = only(collectors.use([to(a.url)], queued(10)))
  await destination.deliver(report('12345678'))
  for (let round = 0; round < 20; round++) {
    const again = only(collectors.use([to(a.url)], queued(10)))
    assert.equal(again, destination)
    assert.equal(again.admits(8), false)
    await again.deliver(report('12345678'))
  }
  assert.deepEqual([...collectors.backlog().reports.values()], [1])
  assert.equal(collectors.backlog().bytes, 8)
  assert.equal(collectors.all().length, 1)
})

test('telemetry collectors: what waited is sent with the headers of the configuration in use', async (t) => {
  const { a, collectors, to, only } = await setUp(t)
  a.next({ status: 401 })
  const old = to(a.url, { headers: { Authorization: 'Bearer expired' } })
  await only(collectors.use([old], queued(1000))).deliver(report('kept'))
  const renewed = to(a.url, { headers: { Authorization: 'Bearer renewed' }, logs: true })
  const destination = only(collectors.use([renewed], queued(1000)))
  assert.equal(destination.takes('logs'), true)
  assert.equal(await destination.finish(), 0)
  assert.deepEqual(bodies(a), ['kept', 'kept'])
  assert.deepEqual(
    a.requests.map(({ headers }) => headers['authorization']),
    ['Bearer expired', 'Bearer renewed'],
  )
})

test('telemetry collectors: one that is not named any more gets what waits for it, then is forgotten', async (t) => {
  const { a, b, clock, collectors, to, only } = await setUp(t)
  a.next({ status: 503 })
  await only(collectors.use([to(a.url)], queued(1000))).deliver(report('for a'))
  await only(collectors.use([to(b.url)], queued(1000))).deliver(report('for b'))
  assert.equal(collectors.all().length, 2)
  await clock.advance(1000)
  await a.request(1)
  for (let turn = 0; turn < 200 && collectors.backlog().bytes > 0; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.deepEqual([bodies(a), bodies(b)], [['for a', 'for a'], ['for b']])
  assert.equal(collectors.backlog().bytes, 0)
  collectors.use([to(b.url)], queued(1000))
  assert.equal(collectors.all().length, 1)
})

test('telemetry collectors: one that comes back finds what still waits for it', async (t) => {
  const { a, b, collectors, to, only } = await setUp(t)
  a.always({ status: 503 })
  const destination = only(collectors.use([to(a.url)], queued(1000)))
  await destination.deliver(report('x'))
  collectors.use([to(b.url)], queued(1000))
  assert.equal(only(collectors.use([to(a.url)], queued(1000))), destination)
  assert.equal(collectors.all().length, 1)
})

test('telemetry collectors: without queue_bytes nothing new waits, what waited is still tried', async (t) => {
  const { a, collectors, to, only } = await setUp(t)
  a.next({ status: 503 })
  await only(collectors.use([to(a.url)], queued(1000))).deliver(report('waits'))
  const destination = only(collectors.use([to(a.url)], undefined))
  a.next({ status: 503 })
  assert.equal(await destination.deliver(report('lost')), 'failed')
  assert.equal(collectors.backlog().bytes, 5)
  assert.equal(await destination.finish(), 0)
  assert.deepEqual(bodies(a), ['waits', 'lost', 'waits'])
})

test('telemetry collectors: a smaller bound admits nothing until what waits fits into it', async (t) => {
  const { a, collectors, to, only } = await setUp(t)
  a.always({ status: 503 })
  await only(collectors.use([to(a.url)], queued(100))).deliver(report('x'.repeat(50)))
  const destination = only(collectors.use([to(a.url)], queued(20)))
  assert.equal(destination.admits(1), false)
  assert.equal(collectors.backlog().bytes, 50, 'what was promised to wait is kept')
})
