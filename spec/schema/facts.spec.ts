/** Why a file could not be read, in words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileProblem } from '../../lib/schema/facts.ts'

test('facts: system codes become words, unknown ones are kept', () => {
  const problem = (code: string): string => fileProblem(Object.assign(new Error('x'), { code }))
  assert.equal(problem('ENOENT'), 'there is no such file')
  assert.equal(problem('EACCES'), 'this user may not read it')
  assert.equal(problem('EIO'), 'it cannot be read (EIO)')
  assert.equal(fileProblem(new Error('no code')), 'it cannot be read')
  assert.equal(fileProblem('no error'), 'it cannot be read')
})
