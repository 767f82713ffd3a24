import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownMigrations } from '../../../lib/store/migrations/own.ts'
import { sharedTables, sharedVersions } from '../../../lib/store/migrations/shared-schema.ts'

test('own migrations: versions ascend from one without a gap', () => {
  assert.deepEqual(
    ownMigrations.map(({ version }) => version),
    ownMigrations.map((_, index) => index + 1),
  )
})

test('own migrations: none touches a table of the reference', () => {
  for (const { version, sql } of ownMigrations) {
    for (const { name } of sharedTables) {
      const touches = new RegExp(`(ALTER|DROP|CREATE)\\s+TABLE\\s+(IF\\s+\\w+\\s+)*${name}\\b`, 'i')
      assert.doesNotMatch(sql, touches, `version ${version}`)
    }
  }
  assert.deepEqual(sharedVersions, [1, 2, 3, 4, 5, 6, 7, 8])
})
