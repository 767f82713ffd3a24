import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stsElement } from '../../lib/upstream/sts-element.ts'

const xml = `<GetCallerIdentityResponse>
  <Arn> arn:aws:iam::123:role/gateway
  </Arn><UserId></UserId><Code>First</Code><Code>Second</Code><Codec>x</Codec>
</GetCallerIdentityResponse>`

test('sts element: its text is found without the space around it, the first of several', () => {
  assert.equal(stsElement(xml, 'Arn'), 'arn:aws:iam::123:role/gateway')
  assert.equal(stsElement(xml, 'Code'), 'First')
  assert.equal(stsElement(xml, 'Codec'), 'x')
  assert.equal(stsElement(xml, 'UserId'), '')
})

test('sts element: one that is absent, open or holds others has none', () => {
  assert.equal(stsElement(xml, 'Account'), null)
  assert.equal(stsElement('<Arn>half', 'Arn'), null)
  assert.equal(stsElement(xml, 'GetCallerIdentityResponse'), null)
})
