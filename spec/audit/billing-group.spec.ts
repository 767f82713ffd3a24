import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBillingGroup } from '../../lib/audit/billing-group.ts'
import { createAsk } from '../support/ask.ts'

const read = (tags: string, tag = 'project') =>
  readBillingGroup(tag, createAsk({ body: `{"model":"m","tags":${tags}}` }).body, ['eng', 'a b'])

test('billing group: the tag names one of the groups of the person (F387)', () => {
  assert.deepEqual(read('{"project":"eng"}'), { kind: 'named', group: 'eng' })
  assert.deepEqual(read('{"other":"eng","proj\\u0065ct":"a b"}'), { kind: 'named', group: 'a b' })
  assert.deepEqual(read('{"a:/=+@-.":"eng"}', 'a:/=+@-.'), { kind: 'named', group: 'eng' })
})

test('billing group: what is none of their groups is ignored, and none of its text is kept', () => {
  for (const value of ['"nope"', '"ENG"', '" eng "', '""', '1', 'null', '["eng"]', '{"a":"eng"}']) {
    assert.deepEqual(read(`{"project":${value}}`), { kind: 'ignored' }, value)
  }
})

test('billing group: without the tag there is none', () => {
  const others = ['{}', '{"Project":"eng"}', '"eng"', 'null', '7', '["project"]']
  for (const tags of others) assert.deepEqual(read(tags), { kind: 'none' }, tags)
  assert.deepEqual(read('["eng"]', '0'), { kind: 'none' })
  for (const inherited of ['constructor', '__proto__', 'toString']) {
    assert.deepEqual(read('{}', inherited), { kind: 'none' }, inherited)
  }
  assert.deepEqual(readBillingGroup('project', createAsk().body, ['eng']), { kind: 'none' })
})
