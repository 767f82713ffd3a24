/**
 * The recorded boots of the reference: each changes a few keys of a minimal file. Reads the
 * table and makes the file of each case, for the replay.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Environment } from '../../lib/kernel/report.ts'
import { edit } from './load.ts'

export interface RecordedCase {
  readonly name: string
  /** Text of the configuration file; null for the one case that is no file. */
  readonly text: string | null
  readonly environment: Environment
  readonly started: boolean
  /** Facts the reference logged at level warn while it started. */
  readonly warnings: readonly string[]
}

const fixtures = new URL('../fixtures/config/', import.meta.url)

const baseText = readFileSync(new URL('minimal.yaml', fixtures), 'utf8')

/** Values that the table abbreviates, in full. */
const abbreviated: ReadonlyMap<string, object> = new Map<string, object>([
  ['login_notice-501', { login_notice: 'a'.repeat(501) }],
  ['login_notice-500', { login_notice: 'a'.repeat(500) }],
  ['admin-blocked-long', { admin: { blocked_message: 'a'.repeat(10_000), admin_groups: ['a'] } }],
  ['admin-tag-long', { admin: { billing_group_tag: 'a'.repeat(65), admin_groups: ['a'] } }],
])

export function readRecordedCases(): readonly RecordedCase[] {
  const table = readFileSync(new URL('config-errors.tsv', fixtures), 'utf8')
  return table.trimEnd().split('\n').slice(1).map(readRow)
}

function readRow(row: string): RecordedCase {
  const [name = '', change = '', exit = '', essence = ''] = row.split('\t')
  const [edits = '', overrides] = change.split(' ENV ')
  return {
    name,
    text: change.startsWith('(') ? null : textOf(name, edits),
    environment: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1', ...readOverrides(overrides) },
    started: exit.startsWith('started'),
    warnings: essence
      .split(' ; ')
      .filter((fact) => fact.startsWith('W: '))
      .map((fact) => fact.slice('W: '.length)),
  }
}

function readOverrides(json: string | undefined): Record<string, string | undefined> {
  const overrides: Record<string, string | null> = json === undefined ? {} : JSON.parse(json)
  return Object.fromEntries(
    Object.entries(overrides).map(([name, value]) => [name, value ?? undefined]),
  )
}

function textOf(name: string, edits: string): string {
  const raw = /^ RAW '(.*)'$/.exec(edits)?.[1]
  if (raw !== undefined) return raw.replaceAll(String.raw`\n`, '\n')
  const root: Record<string, unknown> = { ...parse(baseText), ...abbreviated.get(name) }
  if (!abbreviated.has(name)) for (const [path, value] of readEdits(edits)) edit(root, path, value)
  // JSON is YAML.
  return JSON.stringify(root, null, 2)
}

/** `path=json; path=<deleted>` */
function readEdits(edits: string): [path: string[], value: unknown][] {
  const read: [string[], unknown][] = []
  let rest = edits.trim()
  while (rest !== '') {
    const equals = rest.indexOf('=')
    const path = rest.slice(0, equals).split('.')
    const [value, length] = readValue(rest.slice(equals + 1))
    read.push([path, value])
    rest = rest.slice(equals + 1 + length).replace(/^; /, '')
  }
  return read
}

function readValue(text: string): [value: unknown, length: number] {
  if (text.startsWith('<deleted>')) return [undefined, '<deleted>'.length]
  const ends = [...text.matchAll(/; /g)].map(({ index }) => index)
  for (const end of [...ends, text.length]) {
    try {
      return [JSON.parse(text.slice(0, end)), end]
    } catch {
      // The separator stood inside the value; the next one may end it.
    }
  }
  throw new Error(`no value in ${text}`)
}
