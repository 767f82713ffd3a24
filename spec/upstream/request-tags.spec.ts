import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withoutRequestTags } from '../../lib/upstream/request-tags.ts'
import { createAsk, shortBody } from '../support/ask.ts'

const beta = 'request-tags-2026-08-21'
const strip = (body: string, betas?: string) => {
  const sent = createAsk({
    body,
    headers: { accept: '*/*', ...(betas === undefined ? {} : { 'anthropic-beta': betas }) },
  })
  const left = withoutRequestTags(sent)
  return { sent, left, text: Buffer.from(left.body.bytes).toString() }
}

test('request tags: the key and its beta are gone, every other byte is the client’s (F387)', () => {
  const { text, left, sent } = strip(
    '{ "model":"m", "t\\u0061gs" : {"project":"eng"},\n"n":1.0e0, "messages":[] }',
    `a, ${beta} ,b`,
  )
  assert.equal(text, '{ "model":"m", "n":1.0e0, "messages":[] }')
  assert.deepEqual(left.headers, { accept: '*/*', 'anthropic-beta': 'a,b' })
  assert.equal(left.body.has('tags'), false)
  assert.equal(left.body.stringValue('model'), 'm')
  // The ask itself is as it was.
  assert.equal(sent.body.has('tags'), true)
  assert.equal(sent.headers['anthropic-beta'], `a, ${beta} ,b`)
})

test('request tags: a header of the beta alone goes whole', () => {
  const { left } = strip(shortBody, beta)
  assert.deepEqual(left.headers, { accept: '*/*' })
})

test('request tags: a request without them is the very one that came', () => {
  for (const betas of [undefined, '', 'a , b', `${beta}-x`.toUpperCase()]) {
    const { sent, left } = strip(shortBody, betas)
    assert.equal(left.body, sent.body)
    assert.deepEqual(left.headers, sent.headers)
  }
})
