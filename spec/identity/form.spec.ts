import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readForm } from '../../lib/identity/form.ts'
import { makeExchange } from '../support/exchange.ts'

const type = 'application/x-www-form-urlencoded'
const read = (headers: Record<string, string>, body = 'a=1&b=x%20y&a=2') =>
  readForm(makeExchange({ method: 'POST', headers, body }))

test('form: fields are decoded, and of a repeated one the first counts', async () => {
  const form = await read({ 'content-type': type })
  assert.equal(form?.get('a'), '1')
  assert.equal(form?.get('b'), 'x y')
  assert.equal(form?.get('c'), null)
})

test('form: parameters and case of the media type do not matter', async () => {
  assert.notEqual(await read({ 'content-type': `${type}; charset=utf-8` }), null)
  assert.notEqual(await read({ 'content-type': type.toUpperCase() }), null)
})

test('form: any other media type, or none, is no form', async () => {
  assert.equal(await read({ 'content-type': 'application/json' }), null)
  assert.equal(await read({ 'content-type': 'text/plain' }), null)
  assert.equal(await read({ 'content-type': `${type}x` }), null)
  assert.equal(await read({}), null)
})

test('form: a long body is refused by its length, unread', async () => {
  const exchange = makeExchange({ headers: { 'content-type': type, 'content-length': '65537' } })
  const unread = { ...exchange, readBody: () => assert.fail('the body was read') }
  assert.equal(await readForm(unread), null)
})

test('form: a long body that came in chunks is not taken apart', async () => {
  assert.equal((await read({ 'content-type': type }, `a=${'x'.repeat(65_534)}`))?.get('b'), null)
  assert.equal(await read({ 'content-type': type }, `a=${'x'.repeat(65_535)}`), null)
})

test('form: bytes that are no UTF-8 do not break it', async () => {
  assert.equal((await read({ 'content-type': type }, 'a=%ff%fe'))?.get('a'), '\uFFFD\uFFFD')
})
