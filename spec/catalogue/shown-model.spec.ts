import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shownModel } from '../../lib/catalogue/shown-model.ts'

test('shown model: a name as it was sent, up to 128 characters', () => {
  assert.equal(shownModel(' Claude-Sonnet-4-6[1m]'), ' Claude-Sonnet-4-6[1m]')
  assert.equal(shownModel('x'.repeat(128)), 'x'.repeat(128))
  assert.equal(shownModel('x'.repeat(129)), `${'x'.repeat(128)}...`)
  assert.equal(shownModel('x'.repeat(1_000_000)), `${'x'.repeat(128)}...`)
})

test('shown model: what could act in a terminal is left out before anything is counted', () => {
  assert.equal(shownModel('\u001b[31mモデル\n\u0000a\u202e😀\u007f'), '[31ma')
  assert.equal(shownModel('é'.repeat(100) + 'x'.repeat(128)), 'x'.repeat(128))
})
