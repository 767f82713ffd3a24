import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { recogniseCapability } from '../../lib/upstream/capability.ts'

/** Each text, what a client learned when its request was plain, and when it used every feature. */
const fixture = new URL('../fixtures/upstream/capability-texts.tsv', import.meta.url)
const rows = readFileSync(fixture, 'utf8')
  .split('\n')
  .slice(1)
  .filter((line) => line !== '')
  .map((line) => line.split('\t'))

/** What the clients that used features sent. */
const sentBetas = [
  'tool-search-tool-2025-10-19',
  'foo',
  'afk-mode-2026-01-31',
  'context-1m-2025-08-07',
]

/** Not for this file to decide: they are whole answers of `rejection.ts`. */
const sentences: ReadonlySet<string | undefined> = new Set([
  'Input is too long.',
  'upstream rejected the request',
  'model claude-sonnet-4-6 is not available on bedrock',
])

function tokenIn(expected: string | undefined): string | null {
  return sentences.has(expected) ? null : (expected?.replace('capability_rejected: ', '') ?? null)
}

test('capability: every known text gives its token, and every near one none (F172)', () => {
  const wrong: string[] = []
  let checked = 0
  const check = (text: string, betas: readonly string[], expected: string | undefined): void => {
    checked++
    const found = recogniseCapability(text, betas)
    if (found !== tokenIn(expected)) wrong.push(`${text}: ${found} instead of ${expected}`)
  }
  for (const [text = '', first, second = ''] of rows) {
    // Where a text was sent once only, the request had betas.
    check(text, second === '' ? sentBetas : [], first)
    if (second !== '') check(text, sentBetas, second)
  }
  assert.deepEqual(wrong, [])
  assert.ok(checked > 1000, String(checked))
})

test('capability: the fixture has every token', () => {
  const tokens = new Set(rows.flatMap(([, ...found]) => found.map(tokenIn)))
  for (const token of [
    'prompt_too_long',
    'max_tokens_context_overflow',
    'image_block',
    'document_block',
    'thinking_type:enabled',
    'thinking_type:adaptive',
    'thinking_signature',
    'effort_unsupported',
    'structured_outputs_unsupported',
    'cache_control_field',
    'mid_conv_system',
    'beta_header:context-1m-2025-08-07',
  ]) {
    assert.ok(tokens.has(token), token)
  }
})

test('capability: a beta is named only when the client sent it, whole, and the first of them', () => {
  const text = 'Unexpected value(s) `b-2`, `a-1-long` for the `anthropic-beta` header'
  assert.equal(recogniseCapability(text, ['a-1', 'b-2']), 'beta_header:b-2')
  assert.equal(recogniseCapability(text, ['a-1']), null)
  assert.equal(recogniseCapability(text, ['a-1-long', 'b-2']), 'beta_header:a-1-long')
  assert.equal(recogniseCapability(text, []), null)
  assert.equal(recogniseCapability('`b-2` for the header', ['b-2']), null)
  assert.equal(recogniseCapability('x anthropic_beta xx', ['x']), 'beta_header:x')
  assert.equal(recogniseCapability('xb-2 b-2x anthropic_beta', ['b-2']), null)
})

test('capability: only the beginning of a text that repeats a request is looked at', () => {
  const far = `${'thinking blocks '.repeat(20_000)} cannot be modified`
  assert.equal(recogniseCapability(far, []), null)
  assert.equal(recogniseCapability(`prompt is too long: ${far}`, []), 'prompt_too_long')
})
