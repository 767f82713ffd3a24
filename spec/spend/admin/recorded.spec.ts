/** Everything the reference was asked in the recordings, asked again in the same order. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type AdminCall,
  createTestAdmin,
  readKey,
  seedPeople,
  seedSpend,
  type TestAdmin,
  writeKey,
} from '../../support/admin.ts'

interface Recorded {
  readonly at: number
  readonly name: string
  readonly method: string
  readonly path: string
  readonly key?: string
  readonly padded?: boolean
  readonly session?: string | { readonly sub: string; readonly groups: readonly string[] }
  readonly body?: string
  readonly status: number
  readonly reply: object
}

const load = (name: string): readonly Recorded[] =>
  readFileSync(join(import.meta.dirname, '../../fixtures/spend', name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

/** Ids that the reference drew, and the ones drawn here in their place. */
type Ids = Map<string, string>

function callOf(recorded: Recorded, ids: Ids): AdminCall {
  const keys: Readonly<Record<string, string>> = { write: writeKey, read: readKey, wrong: 'z' }
  const key = recorded.key === undefined ? null : (keys[recorded.key] ?? '')
  const { session, method, body } = recorded
  let { path } = recorded
  for (const [theirs, ours] of ids) path = path.replaceAll(theirs, ours)
  return {
    method,
    path,
    key: recorded.padded === true && key !== null ? ` ${key} ` : key,
    ...(session !== undefined && { session: typeof session === 'object' ? session : null }),
    ...(body !== undefined && { body }),
  }
}

const idPattern = /spl_[0-9a-f]{32}/g

/** What is drawn or measured anew each time stands as a word. */
function comparable(text: string): unknown {
  return JSON.parse(
    text
      .replaceAll(idPattern, 'ID')
      .replaceAll(/req_[0-9a-f]{32}/g, 'REQUEST')
      .replaceAll(/20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME')
      .replaceAll(/"next_page":"[\w-]+"/g, '"next_page":"PAGE"'),
  )
}

async function askAgain(admin: TestAdmin, recorded: Recorded, ids: Ids): Promise<void> {
  const { at, name, status, reply } = recorded
  const answer = await admin.call(callOf(recorded, ids))
  const theirs = JSON.stringify(reply)
  assert.equal(answer.status, status, `${at} ${name}: ${answer.text}`)
  // Keys in the same order too: the texts are compared.
  assert.equal(
    JSON.stringify(comparable(answer.text)),
    JSON.stringify(comparable(theirs)),
    `${at} ${name}`,
  )
  const ours = answer.text.match(idPattern) ?? []
  for (const [index, id] of (theirs.match(idPattern) ?? []).entries()) {
    const known = ids.get(id)
    assert.ok(known === undefined || known === ours[index], `${at} ${name}: another limit`)
    ids.set(id, ours[index] ?? '')
  }
}

test('admin: calls about limits are answered as the reference answers them (F250 F251 F252 F253 F254 F255 F256 F257 F258 F259 F260 F263 F264 F270 F402 F406)', async (t) => {
  const admin = await createTestAdmin(t)
  const ids: Ids = new Map()
  const week = ['2026-11-22', '2026-W47', '2026-11']
  const all = load('admin.jsonl')
  assert.equal(all.length, 185)
  for (const recorded of all) {
    // Where the recording began anew with an empty table.
    if ([110, 122, 148].includes(recorded.at)) {
      await admin.database.query('DELETE FROM spend_limits')
      ids.clear()
    }
    if (recorded.at === 148) {
      // What the reference had counted by then.
      await seedPeople(admin.database, { u1: ['g1', 'pb1'], u2: ['g1', 'g2'], u3: [], u4: ['pb1'] })
      for (const [principal, cents] of [
        ['u1', 2.0999999999999996],
        ['u2', 1.0499999999999998],
        ['u3', 1.0499999999999998],
        ['u4', 1.0499999999999998],
      ] as const) {
        await seedSpend(
          admin.database,
          week.map((period) => [principal, period, cents]),
        )
      }
    }
    await askAgain(admin, recorded, ids)
  }
})

test('admin: the cost report is answered as the reference answers it (F405)', async (t) => {
  const admin = await createTestAdmin(t, { now: '2026-11-22T10:40:10Z' })
  const ids: Ids = new Map()
  const { database } = admin
  await seedPeople(database, { u1: ['g1', 'pb1'], u2: ['g1', 'g2'], u3: [], u4: ['pb1'] })
  await seedSpend(database, [
    ['u1', '2026-11-22', 250],
    ['u2', '2026-11-22', 1.0499999999999998],
    ['u3', '2026-11-22', 1.0499999999999998],
    ['u4', '2026-11-22', 1.0499999999999998],
  ])
  const record = (day: string, principal: string, groups: readonly string[]) =>
    database.query('INSERT INTO principal_groups (day, principal, groups) VALUES ($1, $2, $3)', [
      day,
      principal,
      JSON.stringify(groups),
    ])
  await record('2026-11-22', 'u1', ['g1', 'pb1'])
  await record('2026-11-22', 'u2', ['g1', 'g2'])
  await record('2026-11-22', 'u3', [])
  await record('2026-11-22', 'u4', ['pb1'])
  const all = load('cost-report.jsonl')
  assert.equal(all.length, 89)
  for (const recorded of all) {
    if (recorded.at === 44) {
      await record('2026-11-20', 'u1', ['g1'])
      await record('2026-11-20', 'u2', ['g1', 'g2'])
      await seedSpend(database, [
        ['u1', '2026-11-20', 123.456],
        ['u2', '2026-11-20', 50],
        ['u2', '2026-11-21', 7.5],
        ['gone', '2026-11-21', 3],
      ])
    }
    // These name a page token of the reference, whose binding no other program can make.
    if ([79, 80].includes(recorded.at)) continue
    await askAgain(admin, recorded, ids)
  }
})
