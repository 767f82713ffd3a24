/** Reading what a configuration names, from a real file system. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readBoundedFile } from '../../lib/config/files.ts'

const folder = mkdtempSync(join(tmpdir(), 'gateway-files-'))
after(() => rmSync(folder, { recursive: true }))

const code = (path: string): unknown => {
  try {
    readBoundedFile(path)
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
  return 'read'
}

test('files: a file is read whole', () => {
  const path = join(folder, 'whole')
  const content = Buffer.alloc(200_000, 'abc')
  writeFileSync(path, content)
  assert.ok(content.equals(readBoundedFile(path)))
  writeFileSync(path, '')
  assert.equal(readBoundedFile(path).length, 0)
})

test('files: what is missing or a folder fails with the code of the system', () => {
  assert.equal(code(join(folder, 'nothing')), 'ENOENT')
  assert.equal(code(folder), 'EISDIR')
})

test('files: an endless device ends in an error, not in memory', () => {
  assert.equal(code('/dev/zero'), 'EFBIG')
})
