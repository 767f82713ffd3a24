import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCache } from '../../lib/kernel/cache.ts'
import { createFakeClock } from '../support/fake-clock.ts'

test('cache: a value is found until its time is over', async () => {
  const clock = createFakeClock()
  const cache = createCache<string, number>(10, clock)
  cache.set('a', 1, clock.now() + 1000)
  assert.equal(cache.get('a'), 1)
  await clock.advance(999)
  assert.equal(cache.get('a'), 1)
  await clock.advance(1)
  assert.equal(cache.get('a'), undefined)
  assert.equal(cache.size, 0)
})

test('cache: the least recently used entry goes when it is full', () => {
  const clock = createFakeClock()
  const cache = createCache<string, number>(2, clock)
  const later = clock.now() + 1000
  cache.set('a', 1, later)
  cache.set('b', 2, later)
  assert.equal(cache.get('a'), 1)
  cache.set('c', 3, later)
  assert.equal(cache.get('b'), undefined)
  assert.equal(cache.get('a'), 1)
  assert.equal(cache.get('c'), 3)
})

test('cache: whoever is used while its second half fills is kept', () => {
  const clock = createFakeClock()
  const cache = createCache<number, number>(100, clock)
  const later = clock.now() + 1000
  for (let key = 0; key < 200; key++) {
    cache.set(key, key, later)
    if (key >= 60) assert.equal(cache.get(7), 7)
  }
  assert.deepEqual(
    [cache.get(8), cache.get(100), cache.get(101), cache.size],
    [undefined, undefined, 101, 100],
  )
})

test('cache: setting a key again replaces it without pushing another out', () => {
  const clock = createFakeClock()
  const cache = createCache<string, number>(2, clock)
  const later = clock.now() + 1000
  cache.set('a', 1, later)
  cache.set('b', 2, later)
  cache.set('b', 3, later)
  assert.deepEqual([cache.get('a'), cache.get('b')], [1, 3])
  cache.delete('a')
  assert.equal(cache.get('a'), undefined)
  cache.clear()
  assert.equal(cache.size, 0)
})
