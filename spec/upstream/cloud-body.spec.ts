import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scanJsonBody, type JsonBody } from '../../lib/stream/json-body.ts'
import {
  type CloudBodyRules,
  betasWithoutTags,
  collectBetas,
  editCloudBody,
  headerBetas,
  tagsBeta,
} from '../../lib/upstream/cloud-body.ts'

function scan(text: string): JsonBody {
  const result = scanJsonBody(Buffer.from(text))
  assert.ok(result.kind === 'ok')
  return result.body
}

function edit(text: string, rules: Partial<CloudBodyRules>): string {
  return Buffer.from(editCloudBody(scan(text), { drop: [], ...rules })).toString()
}

test('cloud body: without a change the very bytes of the client are sent', () => {
  const body = scan('{ "model": "m", "stream" : true }')
  assert.equal(editCloudBody(body, { drop: ['tags'], keepsStream: true, model: 'm' }), body.bytes)
})

test('cloud body: dropped keys go, and all else keeps its spelling', () => {
  const sent =
    '{ "model":"m",\n"n":1.0, "big":12345678901234567890, "stream":1, "s":"\\u00e9\\/", "tags":{"a":[1]}}'
  assert.equal(
    edit(sent, { drop: ['model', 'stream', 'tags'] }),
    '{ "n":1.0, "big":12345678901234567890, "s":"\\u00e9\\/"}',
  )
})

test('cloud body: keys in an escaped spelling are dropped like any other', () => {
  assert.equal(edit('{"mod\\u0065l":"m","x":1}', { drop: ['model'] }), '{"x":1}')
})

test('cloud body: the version stands last, unless the client sent one', () => {
  const rules = { drop: ['model'], anthropicVersion: 'v-1' }
  assert.equal(edit('{"a":1,"model":"m"}', rules), '{"a":1,"anthropic_version":"v-1"}')
  const own = '{"a":1,"anthropic_version":"own","b":2}'
  assert.equal(edit(own, rules), own)
  assert.equal(edit('{"model":"m"}', rules), '{"anthropic_version":"v-1"}')
})

test('cloud body: betas take the place the body had for them', () => {
  assert.equal(
    edit('{"anthropic_beta":["b-3"],"a":1}', { betas: ['b-3', 'b-1'] }),
    '{"anthropic_beta":["b-3","b-1"],"a":1}',
  )
})

test('cloud body: betas of a body that has none stand behind its keys, before the version', () => {
  assert.equal(
    edit('{"a":1,"model":"m"}', { drop: ['model'], betas: ['b-1'], anthropicVersion: 'v' }),
    '{"a":1,"anthropic_beta":["b-1"],"anthropic_version":"v"}',
  )
})

test('cloud body: a list of betas that stays as it is keeps its spelling', () => {
  const sent = '{"anthropic_beta": [ "b-1" ],"a":1}'
  assert.equal(edit(sent, { betas: ['b-1'] }), sent)
})

test('cloud body: betas that are no list are replaced, or go when there are none', () => {
  assert.equal(edit('{"anthropic_beta":"b-9"}', { betas: ['b-1'] }), '{"anthropic_beta":["b-1"]}')
  assert.equal(edit('{"anthropic_beta":"b-9","a":1}', { betas: [] }), '{"a":1}')
  assert.equal(edit('{"a":1}', { betas: [] }), '{"a":1}')
})

test('cloud body: any true spelling of stream is written as true where it is kept', () => {
  assert.equal(edit('{"stream":"true","a":1}', { keepsStream: true }), '{"stream":true,"a":1}')
  for (const falsy of ['0', 'null', '""', 'false']) {
    const sent = `{"stream":${falsy}}`
    assert.equal(edit(sent, { keepsStream: true }), sent)
  }
})

test('cloud body: the model is written in the spelling of the provider', () => {
  assert.equal(edit('{"a":1, "model" : "m"}', { model: 'x.m' }), '{"a":1, "model" : "x.m"}')
})

test('betas: those of the body come first, each once, and the one of tags stays here', () => {
  const body = scan(`{"anthropic_beta":["b-3","${tagsBeta}","b-3",7]}`)
  const headers = { 'anthropic-beta': ` b-1 ,b-3,,${tagsBeta}, b-2` }
  assert.deepEqual(collectBetas(body, headers), ['b-3', 'b-1', 'b-2'])
  assert.deepEqual(collectBetas(scan('{"anthropic_beta":"b-9"}'), {}), [])
})

test('betas: a header without any value has none', () => {
  assert.deepEqual(headerBetas({}), [])
  assert.deepEqual(headerBetas({ 'anthropic-beta': '' }), [])
  assert.deepEqual(headerBetas({ 'anthropic-beta': ' , ' }), [])
})

test('betas: without that of tags the header is as sent, or not sent', () => {
  const without = (value: string) => betasWithoutTags({ 'anthropic-beta': value })
  assert.deepEqual(without('a,  b'), ['anthropic-beta', 'a,  b'])
  assert.deepEqual(without(`a, ${tagsBeta},b`), ['anthropic-beta', 'a,b'])
  assert.deepEqual(without(tagsBeta), [])
  assert.deepEqual(without(''), [])
  assert.deepEqual(betasWithoutTags({}), [])
})
