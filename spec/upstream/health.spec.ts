/** Memory of dead upstreams: by itself on a moved clock, then in failover over real servers. */
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFailover, type Attempt } from '../../lib/upstream/failover.ts'
import { createHealth, type Settle } from '../../lib/upstream/health.ts'
import type { AttemptResult, Upstream } from '../../lib/upstream/upstream.ts'
import { createAnthropicAt, createAsk, readBody } from '../support/ask.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { createRecorder } from '../support/recorder.ts'

const down: AttemptResult = { kind: 'failed', reason: 'ECONNREFUSED' }
const gone: AttemptResult = { kind: 'client-gone' }
const answered = (status: number): AttemptResult => ({
  kind: 'answered',
  answer: {
    upstream: 'u1',
    status,
    headers: [],
    body: null,
    upstreamRequestId: null,
    upstreamCloudRequestId: null,
    reason: String(status),
  },
})
const named = (name: string): Upstream => ({
  name,
  provider: 'anthropic',
  send: () => assert.fail('sent'),
  close: () => Promise.resolve(),
})

function setUp(failures = 3) {
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const health = createHealth(clock, log, { failures, open_seconds: 30 })
  const u1 = named('u1')
  /** Hands out a try that must be admitted. */
  const begin = (upstream = u1): Settle => {
    const settle = health.begin(upstream)
    assert.ok(settle !== null)
    return settle
  }
  const times = (count: number, result: AttemptResult): void => {
    for (let at = 0; at < count; at++) begin()(result)
  }
  return { clock, lines, health, u1, begin, times }
}

test('health: after so many failures in a row an upstream is passed over for a bounded time', async () => {
  const { clock, lines, health, u1, times } = setUp()
  times(2, down)
  assert.deepEqual(lines, [])
  times(1, down)
  assert.deepEqual(lines, [
    'warn upstream u1 failed 3 time(s) in a row: passed over for 30s (extensions.upstream_health)',
  ])
  assert.equal(health.begin(u1), null)
  await clock.advance(29_999)
  assert.equal(health.begin(u1), null)
  await clock.advance(1)
  assert.notEqual(health.begin(u1), null)
})

test('health: one success in between starts the count anew', () => {
  const { health, u1, times } = setUp()
  times(2, down)
  times(1, answered(200))
  times(2, down)
  assert.notEqual(health.begin(u1), null)
})

test('health: only what says that an upstream is not there counts', () => {
  for (const status of [500, 502, 503, 504, 520]) {
    const { health, u1, times } = setUp()
    times(3, answered(status))
    assert.equal(health.begin(u1), null, String(status))
  }
  for (const status of [200, 400, 401, 403, 404, 429, 501, 529]) {
    const { health, u1, times } = setUp()
    times(2, down)
    times(1, answered(status))
    times(2, down)
    assert.notEqual(health.begin(u1), null, String(status))
  }
})

test('health: a client that leaves says nothing about an upstream', () => {
  const { health, u1, times } = setUp()
  times(10, gone)
  times(2, down)
  times(10, gone)
  assert.notEqual(health.begin(u1), null)
  times(1, down)
  assert.equal(health.begin(u1), null)
})

test('health: upstreams are remembered each for itself', () => {
  const { health, u1, times } = setUp()
  times(3, down)
  assert.equal(health.begin(u1), null)
  assert.notEqual(health.begin(named('u2')), null)
})

test('health: then one request at a time probes, and its success ends it', async () => {
  const { clock, lines, health, u1, begin, times } = setUp()
  times(3, down)
  await clock.advance(45_000)
  const probe = begin()
  for (let count = 0; count < 4; count++) assert.equal(health.begin(u1), null)
  probe(answered(200))
  assert.equal(lines.at(-1), 'warn upstream u1 answers again after 45s: 4 time(s) passed over')
  times(2, down)
  assert.notEqual(health.begin(u1), null, 'the count starts anew')
})

test('health: a failed probe means another wait, without another line', async () => {
  const { clock, lines, health, u1, begin, times } = setUp()
  times(3, down)
  await clock.advance(30_000)
  begin()(down)
  assert.equal(health.begin(u1), null)
  await clock.advance(29_999)
  assert.equal(health.begin(u1), null)
  await clock.advance(1)
  begin()(answered(503))
  assert.equal(health.begin(u1), null)
  assert.equal(lines.length, 1)
})

test('health: a probe whose client left is given to the next request', async () => {
  const { clock, health, u1, begin, times } = setUp()
  times(3, down)
  await clock.advance(30_000)
  begin()(gone)
  const probe = begin()
  assert.equal(health.begin(u1), null)
  probe(answered(200))
})

test('health: tries from before neither prolong the wait nor take the probe’s place', async () => {
  const { clock, health, u1, begin, times } = setUp()
  const late = [begin(), begin(), begin()]
  times(3, down)
  await clock.advance(20_000)
  late[0]?.(down)
  await clock.advance(10_000)
  const probe = begin()
  late[1]?.(down)
  late[2]?.(gone)
  assert.equal(health.begin(u1), null, 'the probe is still out')
  probe(down)
  await clock.advance(29_999)
  assert.equal(health.begin(u1), null)
})

test('health: an answer to a try that was insisted on ends it early', () => {
  const { health, u1, times } = setUp(1)
  times(1, down)
  health.insist(u1)(down)
  assert.equal(health.begin(u1), null)
  health.insist(u1)(answered(200))
  assert.notEqual(health.begin(u1), null)
})

const egress = createEgress({ allowLoopback: true, clock: systemClock })
after(() => egress.close())

async function withFailover(t: TestContext, remembers: boolean) {
  const servers = await Promise.all([createFakeUpstream(), createFakeUpstream()])
  t.after(() => Promise.all(servers.map((server) => server.close())))
  const routes = servers.map(({ url }, index) => ({
    upstream: createAnthropicAt(url, { name: `u${index + 1}`, egress }).upstream,
    model: 'claude-sonnet-4-6',
  }))
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const attempts: Attempt[] = []
  const failover = createFailover({
    clock,
    log,
    configured: 2,
    observe: (attempt) => void attempts.push(attempt),
    ...(remembers ? { health: createHealth(clock, log, { failures: 2, open_seconds: 30 }) } : {}),
  })
  const ask = async (signal?: AbortSignal): Promise<string> => {
    attempts.length = 0
    const options = signal === undefined ? {} : { signal }
    const result = await failover.first(routes, createAsk(options), '/v1/messages')
    if (result.kind === 'answered') await readBody(result.answer.body)
    const end = result.kind === 'answered' ? String(result.answer.status) : result.kind
    return `${attempts.map(({ upstream }) => upstream.name).join(',')} ${end}`
  }
  return { servers, clock, lines, ask }
}

test('health: a dead first upstream is asked by two requests, then by one every 30 s (B052)', async (t) => {
  const { servers, clock, ask } = await withFailover(t, true)
  servers[0].always({ fault: 'reset-before-head' })
  assert.deepEqual([await ask(), await ask(), await ask()], ['u1,u2 200', 'u1,u2 200', 'u2 200'])
  await clock.advance(30_000)
  assert.deepEqual([await ask(), await ask()], ['u1,u2 200', 'u2 200'])
  servers[0].always({ body: '{}' })
  await clock.advance(30_000)
  assert.deepEqual([await ask(), await ask()], ['u1 200', 'u1 200'])
})

test('health: without it every request asks in the configured order', async (t) => {
  const { servers, ask } = await withFailover(t, false)
  servers[0].always({ fault: 'reset-before-head' })
  for (let count = 0; count < 8; count++) assert.equal(await ask(), 'u1,u2 200')
})

test('health: an upstream passed over is asked after all when the others are down too', async (t) => {
  const { servers, ask, lines } = await withFailover(t, true)
  servers[0].always({ status: 503 })
  await ask()
  await ask()
  servers[1].always({ status: 502 })
  assert.equal(await ask(), 'u2,u1 exhausted')
  assert.ok(lines.some((line) => /all upstreams failed .*: u2: 502.*; u1: 503/.test(line)))
  servers[0].always({ body: '{}' })
  assert.equal(await ask(), 'u2,u1 200', 'and its answer counts')
  assert.equal(await ask(), 'u1 200')
})

test('health: it is not asked when another’s refusal is worth more than its failure', async (t) => {
  const { servers, ask } = await withFailover(t, true)
  servers[0].always({ status: 500 })
  await ask()
  await ask()
  servers[1].always({ status: 429 })
  assert.equal(await ask(), 'u2 429')
})

test('health: a client that left before the probe was sent does not keep it', async (t) => {
  const { servers, clock, ask } = await withFailover(t, true)
  servers[0].always({ fault: 'reset-before-head' })
  await ask()
  await ask()
  await clock.advance(30_000)
  assert.equal(await ask(AbortSignal.abort(new ClientGone())), ' client-gone')
  assert.equal(await ask(), 'u1,u2 200', 'the probe is free')
})
