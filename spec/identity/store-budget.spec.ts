import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createStoreBudget } from '../../lib/identity/store-budget.ts'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const down = (): Promise<never> => Promise.reject(new GatewayError('store/unavailable'))
const hang = (): Promise<never> => new Promise(() => {})

test('store budget: an answer in time passes through', async () => {
  const budget = createStoreBudget(createFakeClock())
  assert.deepEqual(await budget.attempt(() => Promise.resolve(null)), { value: null })
  assert.equal(await budget.require(() => Promise.resolve(5)), 5)
})

test('store budget: a store that is gone is a value for pages, a 503 for clients', async () => {
  const budget = createStoreBudget(createFakeClock())
  assert.equal(await budget.attempt(down), null)
  await assert.rejects(budget.require(down), {
    code: 'oauth/temporarily-unavailable',
    retryAfterSeconds: 5,
  })
})

test('store budget: a store that hangs is given up within three seconds', async () => {
  const clock = createFakeClock()
  const budget = createStoreBudget(clock)
  const page = budget.attempt(hang)
  const client = assert.rejects(budget.require(hang), { code: 'oauth/temporarily-unavailable' })
  await clock.advance(2999)
  assert.equal(await page, null)
  await client
})

test('store budget: a bug is no outage', async () => {
  const budget = createStoreBudget(createFakeClock())
  const bug = (): Promise<never> => Promise.reject(new TypeError('x is undefined'))
  await assert.rejects(budget.attempt(bug), TypeError)
  await assert.rejects(budget.require(bug), TypeError)
})
