import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSingleFlight } from '../../lib/kernel/single-flight.ts'

test('single flight: callers at the same time share one piece of work', async () => {
  const once = createSingleFlight<number>()
  let runs = 0
  const work = async (): Promise<number> => {
    await new Promise((resolve) => setImmediate(resolve))
    return ++runs
  }
  assert.deepEqual(
    await Promise.all([once('k', work), once('k', work), once('other', work)]),
    [1, 1, 2],
  )
  assert.equal(await once('k', work), 3)
})

test('single flight: a failure reaches every caller and is not remembered', async () => {
  const once = createSingleFlight<string>()
  const failing = (): Promise<string> => Promise.reject(new Error('refused'))
  const results = await Promise.allSettled([once('k', failing), once('k', failing)])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(await once('k', () => Promise.resolve('fine')), 'fine')
})
