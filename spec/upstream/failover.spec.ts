import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createLog } from '../../lib/kernel/log.ts'
import {
  createFailover,
  type Attempt,
  type Failover,
  type Route,
} from '../../lib/upstream/failover.ts'
import type { Upstream } from '../../lib/upstream/upstream.ts'
import { alice, createAnthropicAt, createAsk, readBody, shortBody } from '../support/ask.ts'
import { createFakeUpstream, type Behaviour, type FakeUpstream } from '../support/fake-upstream.ts'
import { readTable } from '../support/tsv.ts'

interface Bench {
  readonly servers: readonly FakeUpstream[]
  readonly routes: readonly Route[]
  readonly failover: Failover
  readonly attempts: Attempt[]
  /** Warnings, without time and level. */
  readonly warnings: string[]
  /** Which upstreams were asked, in order. */
  readonly tried: () => string
}

interface Options {
  readonly upstreams?: number
  readonly configured?: number
  readonly upstream_ttfb_ms?: number
  readonly forward_user_identity?: boolean
  readonly observe?: (attempt: Attempt) => void
}

async function withUpstreams(
  options: Options,
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const egress = createEgress({ allowLoopback: true, clock: systemClock })
  const { upstreams = 2, configured = upstreams, observe, ...changes } = options
  const servers = await Promise.all(Array.from({ length: upstreams }, () => createFakeUpstream()))
  const routes = servers.map(({ url }, i): Route => {
    const { upstream } = createAnthropicAt(url, { name: `u${i + 1}`, egress, ...changes })
    return { upstream, model: 'claude-sonnet-4-6' }
  })
  const warnings: string[] = []
  const attempts: Attempt[] = []
  const { log } = createLog(
    'warn',
    (line) => warnings.push(line.split(' ').slice(3).join(' ').trim()),
    systemClock,
  )
  const failover = createFailover({
    clock: systemClock,
    log,
    configured,
    observe: (attempt) => {
      attempts.push(attempt)
      observe?.(attempt)
    },
  })
  const tried = (): string => attempts.map(({ upstream }) => upstream.name).join(',')
  try {
    await work({ servers, routes, failover, attempts, warnings, tried })
  } finally {
    await egress.close()
    await Promise.all(servers.map((server) => server.close()))
  }
}

const path = '/v1/messages'
function failing(status: string): Behaviour {
  if (status === 'rst') return { fault: 'reset-before-head' }
  const body = `{"type":"error","error":{"type":"weird_${status}","message":"up"}}`
  const headers = ['content-type', 'application/json', 'retry-after', '13', 'request-id', 'req_up']
  // What the recorded server said where HTTP has no words for a status.
  const statusText = Number(status) > 511 ? { statusText: 'unknown' } : {}
  return { status: Number(status), headers, body, ...statusText }
}

test('failover: every status moves on or not as recorded, and the log says so', () =>
  withUpstreams({}, async ({ servers, routes, failover, attempts, warnings, tried }) => {
    const simple = /^(?:u1|both)=(\d+)(?:,u2=(\d+))?$/
    // Other mixes of providers and other faults go through the whole gateway in a journey.
    const rows = readTable('upstream/failover.tsv').filter(
      (row) => row['gateway'] === 'aa' && simple.test(row['case'] ?? ''),
    )
    assert.equal(rows.length, 138)
    for (const { case: name = '', stream, client_status: status, ...row } of rows) {
      const { upstreams_tried: triedThen, audit_upstream: served, log_warn: log = '' } = row
      attempts.length = 0
      warnings.length = 0
      const [, one = '', two] = simple.exec(name) ?? []
      servers[0]?.always(failing(one))
      const second = name.startsWith('both') ? one : two
      servers[1]?.always(second === undefined ? { body: '{}' } : failing(second))
      const body = shortBody.replace('{', `{"stream":${stream},`)
      const result = await failover.first(routes, createAsk({ body }), path)
      assert.equal(tried(), triedThen, name)
      if (served === '') {
        assert.deepEqual(result, { kind: 'exhausted', attempts: 2 }, name)
      } else {
        assert.ok(result.kind === 'answered', name)
        assert.equal(result.answer.status, Number(status), name)
        assert.equal(result.answer.upstream, served, name)
        await readBody(result.answer.body)
      }
      const told = log.replaceAll(/^warn |(?<=\|\| )warn /g, '').replaceAll('<id>', 'req-1')
      assert.equal(warnings.join(' || '), told, name)
    }
  }))

test('failover: of two failures the recorded one is kept and relayed whole', () =>
  withUpstreams({}, async ({ servers, routes, failover }) => {
    const rows = readTable('upstream/failover-precedence.tsv').filter(
      ({ gateway }) => gateway === 'anthropic+anthropic',
    )
    assert.equal(rows.length, 49)
    for (const { u1: one = '', u2: two = '', client_status: status, served_by: served } of rows) {
      const name = `${one} then ${two}`
      servers[0]?.always(failing(one))
      servers[1]?.always(failing(two))
      const result = await failover.first(routes, createAsk(), path)
      if (served === '') {
        assert.equal(result.kind, 'exhausted', name)
        continue
      }
      assert.ok(result.kind === 'answered', name)
      assert.equal(result.answer.status, Number(status), name)
      assert.equal(result.answer.upstream, served, name)
      assert.deepEqual(result.answer.headers.slice(0, 2), [
        ['content-type', 'application/json'],
        ['retry-after', '13'],
      ])
      assert.match(await readBody(result.answer.body), new RegExp(`weird_${status}`))
    }
  }))

test('failover: the first upstream is asked first each time, and each at most once (F157)', () =>
  withUpstreams({ upstreams: 3 }, async ({ servers, routes, failover, tried }) => {
    servers[0]?.always(failing('529'))
    for (let i = 0; i < 3; i++) {
      const result = await failover.first(routes, createAsk(), path)
      assert.ok(result.kind === 'answered')
      await readBody(result.answer.body)
    }
    assert.equal(tried(), 'u1,u2,u1,u2,u1,u2')
  }))

test('failover: each upstream gets the model in its own spelling', () =>
  withUpstreams({}, async ({ servers, routes, failover }) => {
    servers[0]?.always(failing('500'))
    const spelled = routes.map(({ upstream }, i) => ({ upstream, model: `model-of-u${i + 1}` }))
    await failover.first(spelled, createAsk(), path)
    assert.deepEqual(
      servers.map(({ requests }) => /"model":"([^"]+)"/.exec(String(requests[0]?.body))?.[1]),
      ['model-of-u1', 'model-of-u2'],
    )
  }))

test('failover: refused connections, resets, unknown names and late heads move on (F163)', () =>
  withUpstreams({ upstream_ttfb_ms: 300 }, async ({ servers, routes, failover, warnings }) => {
    const [, working] = routes
    assert.ok(working !== undefined)
    const at = (url: string): Route => ({
      upstream: createAnthropicAt(url, { name: 'bad', upstream_ttfb_ms: 300 }).upstream,
      model: 'm',
    })
    servers[0]?.always({ fault: 'stall-before-head' })
    const table: [Route | undefined, RegExp][] = [
      [
        at('http://127.0.0.1:1'),
        /^upstream failed, trying next request_id=req-1: bad: ECONNREFUSED: /,
      ],
      [at('http://nowhere.invalid'), /: bad: getaddrinfo (ENOTFOUND|EAI_AGAIN)/],
      [routes[0], /: u1: waiting for the response head timed out after 300 ms$/],
    ]
    for (const [bad, expected] of table) {
      assert.ok(bad !== undefined)
      warnings.length = 0
      const result = await failover.first([bad, working], createAsk(), path)
      assert.ok(result.kind === 'answered')
      assert.equal(result.answer.upstream, 'u2')
      assert.equal(warnings.length, 1)
      assert.match(warnings[0] ?? '', expected)
    }
    // A head that was given up on is not left hanging at the server.
    assert.equal(await (await servers[0]?.request(0))?.closed, 'cut')
  }))

test('failover: when none can be reached the log names each and its reason', () =>
  withUpstreams({}, async ({ servers, routes, failover, warnings }) => {
    for (const server of servers) server.always({ fault: 'reset-before-head' })
    const result = await failover.first(routes, createAsk(), path)
    assert.deepEqual(result, { kind: 'exhausted', attempts: 2 })
    assert.equal(warnings.length, 4)
    assert.match(
      warnings[2] ?? '',
      /^all upstreams failed request_id=req-1: u1: ECONNRESET: .*; u2: ECONNRESET: /,
    )
    assert.equal(warnings[3], 'upstream 502 on /v1/messages request_id=req-1')
  }))

test('failover: skipped upstreams count as attempted (F167)', () =>
  withUpstreams({ upstreams: 1, configured: 3 }, async ({ servers, routes, failover }) => {
    servers[0]?.always(failing('529'))
    assert.deepEqual(await failover.first(routes, createAsk(), path), {
      kind: 'exhausted',
      attempts: 3,
    })
    assert.deepEqual(await failover.first([], createAsk(), path), {
      kind: 'exhausted',
      attempts: 3,
    })
  }))

for (const status of ['529', '503']) {
  test(`failover: the only configured upstream's ${status} is relayed with its retry-after (B032)`, () =>
    withUpstreams({ upstreams: 1 }, async ({ servers, routes, failover, warnings }) => {
      servers[0]?.always(failing(status))
      const result = await failover.first(routes, createAsk(), path)
      assert.ok(result.kind === 'answered')
      assert.equal(result.answer.status, Number(status))
      assert.ok(
        result.answer.headers.some(([name, value]) => name === 'retry-after' && value === '13'),
      )
      assert.match(await readBody(result.answer.body), new RegExp(`weird_${status}`))
      assert.deepEqual(warnings, [`upstream ${status} on /v1/messages request_id=req-1`])
    }))
}

test("failover: the only upstream's other server errors are not relayed", () =>
  withUpstreams({ upstreams: 1 }, async ({ servers, routes, failover }) => {
    for (const status of ['500', '502', '504', '599']) {
      servers[0]?.always(failing(status))
      const result = await failover.first(routes, createAsk(), path)
      assert.deepEqual(result, { kind: 'exhausted', attempts: 1 }, status)
    }
  }))

test("failover: a user's own 429 ends it, an upstream's 429 does not (F168 F169)", () =>
  withUpstreams({ forward_user_identity: true }, async ({ servers, routes, failover, tried }) => {
    servers[0]?.always(failing('429'))
    const own = await failover.first(routes, createAsk(), path)
    assert.ok(own.kind === 'answered')
    assert.equal(own.answer.upstream, 'u1')
    const caller = { ...alice, email: undefined }
    const other = await failover.first(routes, createAsk({ caller }), path)
    assert.ok(other.kind === 'answered')
    assert.equal(other.answer.upstream, 'u2')
    assert.equal(tried(), 'u1,u1,u2')
  }))

test('failover: a client that leaves ends it at once, without a word in the log (F391)', () =>
  withUpstreams({}, async ({ servers, routes, failover, warnings, tried }) => {
    servers[0]?.always({ fault: 'stall-before-head' })
    const controller = new AbortController()
    const result = failover.first(routes, createAsk({ signal: controller.signal }), path)
    const request = await servers[0]?.request(0)
    controller.abort(new ClientGone())
    assert.deepEqual(await result, { kind: 'client-gone' })
    assert.equal(await request?.closed, 'cut')
    assert.equal(tried(), 'u1')
    assert.deepEqual(warnings, [])
  }))

test('failover: a client that left between two upstreams is not asked for again', () => {
  const controller = new AbortController()
  const observe = (): void => controller.abort(new ClientGone())
  return withUpstreams({ observe }, async ({ servers, routes, failover, tried }) => {
    servers[0]?.always({ status: 429, body: ['first', { ending: 'stall' }] })
    const result = await failover.first(routes, createAsk({ signal: controller.signal }), path)
    assert.deepEqual(result, { kind: 'client-gone' })
    assert.equal(tried(), 'u1')
    assert.equal(await (await servers[0]?.request(0))?.closed, 'cut')
  })
})

test('failover: the body of an answer that is not kept is given up, the kept one stays whole', () =>
  withUpstreams({ upstreams: 3 }, async ({ servers, routes, failover }) => {
    servers[0]?.always({ status: 429, body: ['first', { ending: 'stall' }] })
    servers[1]?.always({ status: 500, body: ['second', { ending: 'stall' }] })
    servers[2]?.always({ status: 429, body: ['kept ', { waitMs: 20 }, 'whole'] })
    const result = await failover.first(routes, createAsk(), path)
    assert.ok(result.kind === 'answered')
    assert.equal(result.answer.upstream, 'u3')
    assert.equal(await (await servers[0]?.request(0))?.closed, 'cut')
    assert.equal(await (await servers[1]?.request(0))?.closed, 'cut')
    assert.equal(await readBody(result.answer.body), 'kept whole')
  }))

test('failover: once a stream has its head its upstream is chosen, whatever follows', () =>
  withUpstreams({}, async ({ servers, routes, failover, tried }) => {
    const bodies: Behaviour[] = [
      { body: ['event: error\ndata: {"type":"error"}\n\n'] },
      { body: [{ ending: 'reset' }] },
      { body: '' },
    ]
    for (const behaviour of bodies) {
      servers[0]?.always(behaviour)
      const result = await failover.first(routes, createAsk(), path)
      assert.ok(result.kind === 'answered')
      assert.equal(result.answer.upstream, 'u1')
      await readBody(result.answer.body).catch(() => {})
    }
    assert.equal(tried(), 'u1,u1,u1')
  }))

test('failover: every try is observed with its result and time, and an observer cannot break it', () =>
  withUpstreams(
    {
      observe: () => {
        throw new Error('observer')
      },
    },
    async ({ servers, routes, failover, attempts, warnings }) => {
      servers[0]?.always({ headAfterMs: 50, ...failing('529') })
      const result = await failover.first(routes, createAsk(), path)
      assert.equal(result.kind, 'answered')
      assert.deepEqual(
        attempts.map(({ result: { kind } }) => kind),
        ['answered', 'answered'],
      )
      assert.ok((attempts[0]?.ms ?? 0) >= 45)
      assert.equal(warnings.filter((line) => line.includes('observer')).length, 2)
    },
  ))

test('failover: an upstream that says client-gone is believed', () =>
  withUpstreams({}, async ({ routes, failover }) => {
    const gone: Upstream = {
      name: 'gone',
      provider: 'test',
      send: () => Promise.resolve({ kind: 'client-gone' }),
      close: () => Promise.resolve(),
    }
    const result = await failover.first(
      [{ upstream: gone, model: 'm' }, ...routes],
      createAsk(),
      path,
    )
    assert.deepEqual(result, { kind: 'client-gone' })
  }))
