import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { makeServedExchange } from './served-exchange-parts.ts'

test('exchange: repeated lines of a header are told in order, in any spelling of its name', () => {
  const exchange = makeServedExchange({
    rawHeaders: ['X-A', '1', 'Other', 'x', 'x-a', '2', 'X-a', '3'],
  })
  assert.deepEqual(exchange.headerLines('x-a'), ['1', '2', '3'])
  assert.deepEqual(exchange.headerLines('absent'), [])
})

test('exchange: the signal aborts with the reason the client is gone for', () => {
  const exchange = makeServedExchange()
  const { signal } = exchange
  assert.equal(exchange.signal, signal)
  assert.equal(signal.aborted, false)
  const reason = new ClientGone()
  exchange.lose(reason)
  assert.equal(signal.reason, reason)
  assert.equal(exchange.gone, reason)
})

test('exchange: a signal first asked for after the client left is aborted already', () => {
  const exchange = makeServedExchange()
  exchange.lose(new ClientGone())
  assert.ok(exchange.signal.aborted)
  assert.ok(exchange.signal.reason instanceof ClientGone)
})

test('exchange: a client is lost once, and the first reason stays', () => {
  const exchange = makeServedExchange()
  const reasons: Error[] = []
  exchange.onGone = (reason) => void reasons.push(reason)
  const first = new ClientGone()
  exchange.lose(first)
  exchange.lose(new Error('later'))
  assert.deepEqual(reasons, [first])
  assert.equal(exchange.gone, first)
})

test('exchange: each has an id of its own', () => {
  assert.notEqual(makeServedExchange().requestId, makeServedExchange().requestId)
})
