/**
 * Checks an audit file: every hash, every signature. What `gateway audit verify` runs; knows the
 * form of `chain.ts` and nothing of what the lines say.
 */
import type { KeyObject } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { follows, genesis, type Head, isSigned, keyIdOf, parse } from './chain.ts'

export interface Verified {
  readonly records: number
  readonly signatures: number
  /** Records after the last signature: nothing proves that none is missing at the end. */
  readonly unsigned: number
  /** The file begins where another one ended. */
  readonly continues: boolean
  /** The first thing that is wrong; null when nothing is. */
  readonly problem: string | null
}

/** Rejects when the file cannot be read. Without a key signatures are counted, not checked. */
export async function verifyAuditFile(path: string, key: KeyObject | null): Promise<Verified> {
  let head: Head | null = null
  let count = 0
  let signatures = 0
  let unsigned = 0
  let continues = false
  const result = (problem: string | null): Verified => ({
    records: count,
    signatures,
    unsigned,
    continues,
    problem,
  })
  const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity })
  for await (const line of lines) {
    const place = `line ${count + 1}`
    const record = parse(line)
    if (record === null) return result(`${place} is no record; the rest was not checked`)
    if (head === null) {
      continues = record.sequence !== 1
      head = continues ? startOf(record.json, record.sequence) : genesis
      if (head === null) return result(`${place} is no beginning of a file`)
    }
    if (!follows(head, record)) {
      return result(`${place} (${record.sequence}) does not follow the line before it`)
    }
    const wrong = judgeSignature(record.json, head, key)
    if (wrong !== null && wrong !== 'none') return result(`${place}: ${wrong}`)
    signatures += wrong === null ? 1 : 0
    unsigned = wrong === null ? 0 : unsigned + 1
    head = { sequence: record.sequence, hash: record.hash }
    count += 1
  }
  return result(count === 0 ? 'the file holds no record' : null)
}

/** What a person who checks is told. */
export function describeVerified(path: string, verified: Verified, isChecked: boolean): string {
  const { records, signatures, unsigned, continues, problem } = verified
  const key = isChecked ? 'all by this key' : 'not checked, no --public-key given'
  return [
    `${path}: ${problem === null ? 'sound' : 'BROKEN'}`,
    `  ${records} records follow each other${continues ? ', from where another file ends' : ''}`,
    `  ${signatures} signatures (${key}); ${unsigned} records since the last one`,
    ...(problem === null ? [] : [`  ${problem}`]),
    '',
  ].join('\n')
}

/** Null: signed, and rightly so as far as can be told. `none`: no signature. Else what is wrong. */
function judgeSignature(json: string, head: Head, key: KeyObject | null): string | null {
  const fields = fieldsOf(json)
  if (fields['evt'] !== 'audit.signature') return 'none'
  if (key === null) return null
  if (fields['key'] !== keyIdOf(key)) return `signed by another key (${String(fields['key'])})`
  const signature = fields['signature']
  const isGood = typeof signature === 'string' && isSigned(head, signature, key)
  return isGood ? null : 'the signature is not that of the lines before it'
}

/** The end of the file before, as the first record of this one says. */
function startOf(json: string, sequence: number): Head | null {
  const fields = fieldsOf(json)
  const hash = fields['continues']
  const isBeginning = fields['evt'] === 'audit.begin' && typeof hash === 'string'
  return isBeginning ? { sequence: sequence - 1, hash } : null
}

function fieldsOf(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
