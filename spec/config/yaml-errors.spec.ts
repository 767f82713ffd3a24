/** Every error of the parser has words of ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from 'yaml'
import { syntaxComplaint } from '../../lib/config/yaml-errors.ts'

test('yaml errors: syntax leaves the content in doubt', () => {
  const codes: readonly ErrorCode[] = [
    'UNEXPECTED_TOKEN',
    'MISSING_CHAR',
    'BAD_INDENT',
    'TAB_AS_INDENT',
  ]
  for (const code of codes) assert.equal(syntaxComplaint(code).severity, 'unreadable', code)
})

test('yaml errors: what stands beside the content does not', () => {
  const codes: readonly ErrorCode[] = ['MULTIPLE_DOCS', 'TAG_RESOLVE_FAILED', 'NON_STRING_KEY']
  for (const code of codes) assert.equal(syntaxComplaint(code).severity, 'readable', code)
})

test('yaml errors: the words complete "expected … found …"', () => {
  const { expected, found } = syntaxComplaint('TAB_AS_INDENT')
  assert.equal(
    `expected ${expected}, found ${found}`,
    'expected spaces as indentation, found a tab',
  )
})
