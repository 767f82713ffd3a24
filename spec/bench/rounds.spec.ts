import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Child } from '../../bench/child.ts'
import { runLoad } from '../../bench/load.ts'
import type { LoadPlan, LoadReport } from '../../bench/load.ts'
import { listenOnLoopback } from '../../bench/loopback.ts'
import { createReply, findNonce } from '../../bench/reply.ts'
import { findFaults, runRound } from '../../bench/rounds.ts'
import { scenarios, shorten } from '../../bench/scenarios.ts'
import type { Scenario } from '../../bench/scenarios.ts'

const [first] = scenarios
assert.ok(first !== undefined)
const scenario: Scenario = { ...first, concurrency: 2, requests: 10, timeoutMs: 20_000 }

const good: LoadReport = {
  replies: 10,
  faults: [],
  seconds: 1,
  firstByteMs: { p50: 1, p99: 2 },
  gapMs: { p50: Number.NaN, p99: Number.NaN },
  openPeak: 2,
}

test('rounds: a round that client and upstream agree on has no faults', () => {
  assert.deepEqual(findFaults(scenario, { report: good }, 10), [])
})

test('rounds: a fault of the client, a lost reply and a retried request each void the round', () => {
  assert.deepEqual(findFaults(scenario, { report: { ...good, faults: ['status 500'] } }, 10), [
    'status 500',
  ])
  assert.match(
    findFaults(scenario, { report: { ...good, replies: 9 } }, 10).join(),
    /9 whole replies for 10/,
  )
  assert.match(findFaults(scenario, { report: good }, 11).join(), /served 11 of 10/)
  assert.match(findFaults(scenario, { report: good }, undefined).join(), /served undefined/)
})

test('rounds: memory per stream counts only when all streams were open at once', () => {
  const slow = { ...scenario, measuresMemory: true, concurrency: 10 }
  assert.match(
    findFaults(slow, { report: { ...good, openPeak: 9 } }, 10).join(),
    /only 9 of 10 streams/,
  )
  assert.deepEqual(findFaults(slow, { report: { ...good, openPeak: 10 } }, 10), [])
})

test('rounds: what passes beside must be whole, served and as much as was due', () => {
  const both = { ...scenario, beside: { requestBytes: 1_000, everyMs: 125 } }
  const eight = { ...good, replies: 8 }
  assert.deepEqual(findFaults(both, { report: good, beside: eight }, 18), [])
  assert.match(findFaults(both, { report: good, beside: eight }, 10).join(), /served 10 of 18/)
  const six = { ...good, replies: 6 }
  assert.match(findFaults(both, { report: good, beside: six }, 16).join(), /only 6 of 7 requests/)
  assert.match(findFaults(both, { report: good }, 10).join(), /only 0 of 7 requests/)
  const broken = { ...eight, faults: ['status 413'] }
  assert.deepEqual(findFaults(both, { report: good, beside: broken }, 18), ['status 413'])
})

test('rounds: measures this process while it serves, and voids what it did not audit', async () => {
  let served = 0
  let audited = 0
  const server = createServer((request, response) => {
    let body = Buffer.alloc(0)
    request.on('data', (chunk: Buffer) => (body = Buffer.concat([body, chunk])))
    request.on('end', () => {
      served++
      audited++
      response.end(Buffer.concat(createReply(scenario.script)(findNonce(body) ?? '')))
    })
  })
  const url = `http://127.0.0.1:${await listenOnLoopback(server, 0)}`
  const upstream = stand((question) => {
    if (question.kind === 'served') return served
    served = 0
    return null
  })
  const client = stand((question) => (question.plan === undefined ? 0 : runLoad(question.plan)))
  let stopping = new AbortController()
  const besideClient = stand((question) => {
    if (question.plan === undefined) return stopping.abort()
    stopping = new AbortController()
    return runLoad(question.plan, stopping.signal)
  })
  const harness = { upstream, client, besideClient }
  const subject = {
    name: 'itself',
    url,
    token: 't',
    pid: process.pid,
    unpacks: true,
    audited: () => audited,
    stop: () => Promise.resolve(),
  }
  try {
    const round = await runRound(harness, subject, scenario)
    assert.ok(round.cpuSeconds >= 0 && round.cpuSeconds < 60)
    assert.ok(round.residentPeakBytes > 20e6)
    assert.ok(round.firstByteMs > 0)
    assert.ok(Number.isNaN(round.bytesPerStream) && Number.isNaN(round.gapMs))

    const both = { ...scenario, requests: 200, beside: { requestBytes: 2_000, everyMs: 20 } }
    await runRound(harness, subject, both)
    assert.ok(served > 200, `${served} in all`)

    const forgetful = { ...subject, audited: () => 0 }
    await assert.rejects(
      runRound(harness, forgetful, scenario),
      /burst-20 against itself is void: 0 audit lines where 10 belong/,
    )
    const elsewhere = { ...subject, pid: undefined }
    assert.ok(Number.isNaN((await runRound(harness, elsewhere, scenario)).cpuSeconds))
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

test('rounds: the short form keeps every stream of a memory scenario', () => {
  for (const full of scenarios) {
    const short = shorten(full)
    assert.ok(short.requests >= short.concurrency)
    if (full.measuresMemory) assert.equal(short.requests, full.requests)
    else assert.ok(short.requests < full.requests)
  }
})

interface Question {
  readonly kind: string
  readonly plan?: LoadPlan
}

/** A child without a process. */
function stand(answer: (question: Question) => unknown): Child {
  return {
    pid: process.pid,
    port: 0,
    // What runRound asks always has a kind.
    ask: (question) => Promise.resolve(answer(question as Question)),
    stop: () => Promise.resolve(),
  }
}
