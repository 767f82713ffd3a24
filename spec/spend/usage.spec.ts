import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createUsageTotals,
  readUsage,
  type UsagePlace,
  type UsageReport,
} from '../../lib/spend/usage.ts'

function report(value: unknown, place: UsagePlace = 'message'): UsageReport {
  const result = readUsage(value, place)
  return 'report' in result ? result.report : assert.fail(result.misshapen)
}

function misshapen(value: unknown, place: UsagePlace = 'message'): string | null {
  const result = readUsage(value, place)
  return 'misshapen' in result ? result.misshapen : null
}

const whole = { inputMissing: false, complete: true }

test('usage: every figure that has a price is read', () => {
  const { counts, speed, outOfRange } = report({
    input_tokens: 1,
    output_tokens: 2,
    cache_read_input_tokens: 3,
    cache_creation_input_tokens: 4,
    cache_creation: { ephemeral_5m_input_tokens: 5, ephemeral_1h_input_tokens: 6 },
    server_tool_use: { web_search_requests: 7, web_fetch_requests: 8 },
    speed: 'fast',
    service_tier: 'standard',
    iterations: [{ input_tokens: 99 }],
  })
  assert.deepEqual(counts, {
    input: 1,
    output: 2,
    cacheRead: 3,
    cacheWrite: 4,
    cacheWrite5m: 5,
    cacheWrite1h: 6,
    webSearch: 7,
  })
  assert.equal(speed, 'fast')
  assert.equal(outOfRange, null)
})

test('usage: what is absent or null is left out', () => {
  const nothing = { counts: {}, speed: null, outOfRange: null }
  assert.deepEqual(report({}), nothing)
  assert.deepEqual(
    report({
      cache_read_input_tokens: null,
      cache_creation_input_tokens: null,
      cache_creation: null,
      server_tool_use: null,
      speed: null,
    }),
    nothing,
  )
  assert.deepEqual(
    report({ cache_creation: { ephemeral_1h_input_tokens: null }, server_tool_use: {} }),
    nothing,
  )
})

test('usage: null input is ordinary in a delta and spoils a message, null output spoils both', () => {
  assert.deepEqual(report({ input_tokens: null }, 'message_delta').counts, {})
  assert.equal(misshapen({ input_tokens: null }), 'usage.input_tokens is null')
  for (const place of ['message', 'message_delta'] as const) {
    assert.equal(misshapen({ output_tokens: null }, place), 'usage.output_tokens is null')
  }
})

test('usage: one field of a wrong type spoils the object, and is named', () => {
  const good = { input_tokens: 1, output_tokens: 2 }
  const cases: readonly (readonly [unknown, string])[] = [
    [{ ...good, output_tokens: '2' }, 'usage.output_tokens is a string'],
    [{ ...good, output_tokens: true }, 'usage.output_tokens is a boolean'],
    [{ ...good, input_tokens: { a: 1 } }, 'usage.input_tokens is an object'],
    [{ ...good, cache_read_input_tokens: '5' }, 'usage.cache_read_input_tokens is a string'],
    [{ ...good, cache_creation: 'x' }, 'usage.cache_creation is a string'],
    [{ ...good, cache_creation: [] }, 'usage.cache_creation is an array'],
    [
      { ...good, cache_creation: { ephemeral_1h_input_tokens: '5' } },
      'usage.ephemeral_1h_input_tokens is a string',
    ],
    [{ ...good, server_tool_use: 'x' }, 'usage.server_tool_use is a string'],
    [
      { ...good, server_tool_use: { web_search_requests: [1] } },
      'usage.web_search_requests is an array',
    ],
    [{ ...good, speed: 5 }, 'usage.speed is a number'],
    ['x', 'usage is a string'],
    [null, 'usage is null'],
    [[], 'usage is an array'],
    [5, 'usage is a number'],
  ]
  for (const [value, expected] of cases) assert.equal(misshapen(value), expected)
})

test('usage: fields without a price may hold anything', () => {
  assert.deepEqual(report({ output_tokens: 2, service_tier: 5, iterations: 'x' }).counts, {
    output: 2,
  })
})

test('usage: numbers below 0 or beyond every number count as 0 and are named; fractions stay', () => {
  assert.deepEqual(report({ input_tokens: -5, output_tokens: 10.5 }), {
    counts: { input: 0, output: 10.5 },
    speed: null,
    outOfRange: 'usage.input_tokens',
  })
  const beyond: unknown = JSON.parse('{"output_tokens":1e999}')
  assert.deepEqual(report(beyond).counts, { output: 0 })
  assert.equal(report(beyond).outOfRange, 'usage.output_tokens')
  const searches = report({ server_tool_use: { web_search_requests: -3 } })
  assert.deepEqual(
    [searches.counts, searches.outOfRange],
    [{ webSearch: 0 }, 'usage.web_search_requests'],
  )
  assert.equal(report({ input_tokens: -0 }).outOfRange, null)
})

test('totals: without any report all is 0 and the output is the estimate', () => {
  assert.deepEqual(createUsageTotals().sum(7, { inputMissing: true, complete: false }), {
    input_tokens: 0,
    output_tokens: 7,
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
    ephemeral_1h_input_tokens: 0,
    web_search_requests: 0,
    speed: null,
    estimated: true,
    inputMissing: true,
    complete: false,
  })
})

test('totals: an update replaces what it says, and 0 says nothing but of output and searches', () => {
  const totals = createUsageTotals()
  totals.start(
    report({
      input_tokens: 1000,
      cache_read_input_tokens: 50,
      server_tool_use: { web_search_requests: 3 },
    }),
  )
  totals.update(report({ input_tokens: 0, cache_read_input_tokens: 60, output_tokens: 300 }))
  assert.deepEqual(
    [totals.sum(0, whole).input_tokens, totals.sum(0, whole).cache_read_input_tokens],
    [1000, 60],
  )
  assert.equal(totals.sum(0, whole).web_search_requests, 3)
  totals.update(
    report({ input_tokens: 2000, output_tokens: 0, server_tool_use: { web_search_requests: 0 } }),
  )
  const usage = totals.sum(99, whole)
  assert.deepEqual(
    [usage.input_tokens, usage.output_tokens, usage.web_search_requests],
    [2000, 0, 0],
  )
  assert.equal(usage.estimated, false)
})

test('totals: the output a message starts with is not billed', () => {
  const totals = createUsageTotals()
  totals.start(report({ input_tokens: 1, output_tokens: 500 }))
  assert.deepEqual([totals.sum(3, whole).output_tokens, totals.sum(3, whole).estimated], [3, true])
})

test('totals: a second start replaces the figures it has, zeros too', () => {
  const totals = createUsageTotals()
  totals.start(report({ input_tokens: 2000, cache_read_input_tokens: 5 }))
  totals.start(report({}))
  assert.equal(totals.sum(0, whole).input_tokens, 2000)
  totals.start(report({ input_tokens: 0 }))
  assert.equal(totals.sum(0, whole).input_tokens, 0)
  assert.equal(totals.sum(0, whole).cache_read_input_tokens, 5)
})

test('totals: a message that names no output had none', () => {
  const totals = createUsageTotals()
  totals.replace(report({ input_tokens: 10 }))
  const usage = totals.sum(99, whole)
  assert.deepEqual([usage.input_tokens, usage.output_tokens, usage.estimated], [10, 0, false])
})

test('totals: cache writes for an hour are part of the total, never more than it', () => {
  const cases: readonly (readonly [object, number, number])[] = [
    [{ cache_creation_input_tokens: 100 }, 100, 0],
    [
      { cache_creation_input_tokens: 100, cache_creation: { ephemeral_1h_input_tokens: 20 } },
      100,
      20,
    ],
    [
      { cache_creation_input_tokens: 100, cache_creation: { ephemeral_1h_input_tokens: 500 } },
      100,
      100,
    ],
    [
      { cache_creation_input_tokens: 100, cache_creation: { ephemeral_1h_input_tokens: -5 } },
      100,
      0,
    ],
    // The total is the sum of its parts when it is missing or 0, and stands when it is not.
    [{ cache_creation: { ephemeral_1h_input_tokens: 50, ephemeral_5m_input_tokens: 20 } }, 70, 50],
    [
      {
        cache_creation_input_tokens: 0,
        cache_creation: { ephemeral_1h_input_tokens: 50, ephemeral_5m_input_tokens: 20 },
      },
      70,
      50,
    ],
    [
      {
        cache_creation_input_tokens: 60,
        cache_creation: { ephemeral_1h_input_tokens: 50, ephemeral_5m_input_tokens: 20 },
      },
      60,
      50,
    ],
  ]
  for (const [value, total, hour] of cases) {
    const totals = createUsageTotals()
    totals.start(report(value))
    const usage = totals.sum(0, whole)
    assert.deepEqual(
      [usage.cache_creation_input_tokens, usage.ephemeral_1h_input_tokens],
      [total, hour],
      JSON.stringify(value),
    )
  }
})

test('totals: the speed is the one the message started with', () => {
  const totals = createUsageTotals()
  totals.start(report({ speed: 'fast' }))
  totals.update(report({ speed: 'standard', output_tokens: 1 }))
  assert.equal(totals.sum(0, whole).speed, 'fast')
})
