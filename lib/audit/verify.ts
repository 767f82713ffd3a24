/**
 * Checks audit files: every byte, every hash, every signature, and that one file goes on where the
 * one before ends. What `gateway audit verify` runs; knows the form of `chain.ts` and nothing of
 * what the lines say.
 */
import { isUtf8 } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { follows, genesis, type Head, isSigned, keyIdOf, parse } from './chain.ts'

export interface Verified {
  readonly path: string
  readonly records: number
  readonly signatures: number
  /** Records after the last signature: nothing proves that none is missing at the end. */
  readonly unsigned: number
  /** When the first of them was written, as it says itself; null when there are none. */
  readonly unsignedSince: number | null
  /** The file begins where another one ended. */
  readonly continues: boolean
  /** Where it ends; null when it holds nothing sound. */
  readonly head: Head | null
  /** The first thing that is wrong; null when nothing is. */
  readonly problem: string | null
}

/** No line the gateway takes is longer; what is longer is no record. */
const lineBytesMax = 16 * 1024 * 1024

/**
 * Files in the order of their rotation, up to the first that is broken. Rejects when one cannot be
 * read. Without a key signatures are counted, not checked.
 */
export async function verifyAuditFiles(
  paths: readonly string[],
  key: KeyObject | null,
): Promise<readonly Verified[]> {
  const all: Verified[] = []
  for (const path of paths) {
    const verified = await verifyAuditFile(path, key, all.at(-1))
    all.push(verified)
    if (verified.problem !== null) return all
  }
  const last = all.pop()
  if (last === undefined) return all
  // Whoever has no key can make a new chain of hashes, and none that is signed.
  const hasSignature = [...all, last].some(({ signatures }) => signatures > 0)
  const problem = key === null || hasSignature ? null : 'no signature: nothing is proven'
  return [...all, { ...last, problem }]
}

async function verifyAuditFile(
  path: string,
  key: KeyObject | null,
  earlier: Verified | undefined,
): Promise<Verified> {
  let head = earlier?.head ?? null
  let [records, signatures, unsigned, continues] = [0, 0, earlier?.unsigned ?? 0, false]
  let unsignedSince = earlier?.unsignedSince ?? null
  const result = (problem: string | null): Verified => ({
    path,
    records,
    signatures,
    unsigned,
    unsignedSince,
    continues,
    head,
    problem,
  })
  for await (const { bytes, isWhole } of readLines(path)) {
    const place = `line ${records + 1}`
    if (!isWhole) return result(`${place} has no end: it was cut off, or a crash left it so`)
    const record = isUtf8(bytes) ? parse(bytes.toString()) : null
    if (record === null) return result(`${place} is no record; the rest was not checked`)
    if (records === 0) continues = record.sequence !== 1
    head ??= continues ? startOf(record.json, record.sequence) : genesis
    if (head === null) return result(`${place} is no beginning of a file`)
    if (!follows(head, record)) {
      const before = records === 0 && earlier !== undefined ? earlier.path : 'the line before it'
      return result(`${place} (${record.sequence}) does not follow ${before}`)
    }
    const wrong = judgeSignature(record.json, head, key)
    if (wrong !== null && wrong !== 'none') return result(`${place}: ${wrong}`)
    signatures += wrong === null ? 1 : 0
    unsigned = wrong === null ? 0 : unsigned + 1
    unsignedSince = wrong === null ? null : (unsignedSince ?? timeOf(record.json))
    head = { sequence: record.sequence, hash: record.hash }
    records += 1
  }
  return result(records === 0 ? 'the file holds no record' : null)
}

interface Line {
  readonly bytes: Buffer
  /** It ends with a newline. */
  readonly isWhole: boolean
}

/** By newlines alone: what else some readers take for the end of a line may stand in a record. */
async function* readLines(path: string): AsyncGenerator<Line> {
  let rest: Buffer[] = []
  let restBytes = 0
  const chunks: AsyncIterable<Buffer> = createReadStream(path)
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      yield { bytes: Buffer.concat([...rest, chunk.subarray(start, end)]), isWhole: true }
      rest = []
      restBytes = 0
      start = end + 1
    }
    rest.push(chunk.subarray(start))
    restBytes += chunk.length - start
    if (restBytes > lineBytesMax) break
  }
  if (restBytes > 0) yield { bytes: Buffer.concat(rest), isWhole: false }
}

/** How much may stand after the last signature: records, or the age of the oldest of them. */
export type UnsignedMax =
  | { readonly kind: 'records'; readonly count: number }
  | { readonly kind: 'age'; readonly ms: number }

/** What is beyond `max` at the end of sound files, in words; null when nothing is. */
export function excessOf(
  { unsigned, unsignedSince }: Verified,
  max: UnsignedMax,
  nowMs: number,
): string | null {
  if (max.kind === 'records') {
    if (unsigned <= max.count) return null
    return `${unsigned} records since the last signature, ${max.count} are allowed`
  }
  // A record without a time it can be read by is as old as can be.
  const ageMs = unsigned === 0 ? 0 : nowMs - (unsignedSince ?? 0)
  if (ageMs <= max.ms) return null
  const [age, allowed] = [Math.round(ageMs / 1000), max.ms / 1000]
  return `records without a signature for ${age} s, ${allowed} s are allowed`
}

/** What a person who checks is told. */
export function describeVerified(verified: Verified, isChecked: boolean): string {
  const { path, records, signatures, unsigned, continues, problem } = verified
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

function timeOf(json: string): number | null {
  const { ts } = fieldsOf(json)
  const ms = typeof ts === 'string' ? Date.parse(ts) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}

function fieldsOf(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
