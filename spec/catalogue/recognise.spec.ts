/** Which model an id means, exactly and by version. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInModels } from '../../lib/catalogue/models.ts'
import {
  createRecogniser,
  modelOfVersion,
  modelVersion,
  withoutContextMark,
} from '../../lib/catalogue/recognise.ts'

const recognise = createRecogniser(builtInModels)

test('recognise: every spelling of a built-in finds it, in any case', () => {
  for (const model of builtInModels) {
    for (const id of [model.name, ...Object.values(model.forms)]) {
      assert.equal(recognise(id), model)
      assert.equal(recognise(id.toUpperCase()), model)
    }
  }
})

test('recognise: exact means exact', () => {
  for (const id of ['', 'claude', ' claude-opus-5', 'claude-opus-5[1m]', 'claude-haiku-4-5-2025']) {
    assert.equal(recognise(id), undefined, id)
  }
  assert.equal(recognise(`claude-opus-5${'x'.repeat(100_000)}`), undefined)
})

test('recognise: the first row claiming a spelling has it', () => {
  const own = { name: 'mine', forms: { anthropic: 'claude-opus-5' } }
  const model = { ...own, listed: true, maxInputTokens: null, supports1m: false }
  assert.equal(createRecogniser([model, ...builtInModels])('claude-opus-5'), model)
})

const versions: readonly [text: string, family: string, major: string, minor?: string][] = [
  ['claude-opus-4-8', 'opus', '4', '8'],
  ['claude-opus-5', 'opus', '5'],
  ['CLAUDE-HAIKU-4-5', 'haiku', '4', '5'],
  ['claude-opus-4-20250514', 'opus', '4'],
  ['claude-sonnet-4-5@20250929', 'sonnet', '4', '5'],
  ['us.anthropic.claude-haiku-4-5-20251001-v1:0', 'haiku', '4', '5'],
  ['us.anthropic.claude-opus-4-6-v1', 'opus', '4', '6'],
  ['arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-5', 'opus', '5'],
  ['my-claude-opus-5-deploy', 'opus', '5'],
  ['claude-opus-5-latest', 'opus', '5'],
  ['claude-opus-4-8-fast', 'opus', '4', '8'],
  ['claude-3-5-sonnet-v2@20241022', 'sonnet', '3', '5'],
  ['claude-3-opus-20240229', 'opus', '3'],
  ['claude-mythos-5', 'mythos', '5'],
]
for (const [text, family, major, minor] of versions) {
  test(`recognise: ${text} is ${family} ${major}${minor === undefined ? '' : `.${minor}`}`, () => {
    assert.deepEqual(modelVersion(text), { family, major, minor })
  })
}

test('recognise: a text without family and version has none', () => {
  const texts = ['', 'claude', 'claude-opus', 'claude-3-5', 'opus-4-8', 'claude-opusx-5', 'mine-2']
  for (const text of texts) assert.equal(modelVersion(text), undefined, text)
  assert.equal(modelVersion(`claude-opus-5${'-'.repeat(1_000_000)}`), undefined)
})

test('recognise: by version only models of the table are found', () => {
  assert.equal(modelOfVersion('eu.anthropic.claude-opus-5')?.name, 'claude-opus-5')
  assert.equal(modelOfVersion('claude-3-5-haiku@20241022')?.name, 'claude-3-5-haiku')
  assert.equal(modelOfVersion('claude-opus-4-9'), undefined)
  assert.equal(modelOfVersion('deploy-x'), undefined)
})

test('recognise: the long-context mark ends an id, in either case', () => {
  assert.equal(withoutContextMark('opus[1m]'), 'opus')
  assert.equal(withoutContextMark('opus[1M]'), 'opus')
  assert.equal(withoutContextMark('opus[2m]'), 'opus[2m]')
  assert.equal(withoutContextMark('[1m]opus'), '[1m]opus')
})
