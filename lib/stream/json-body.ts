/**
 * The body of a request as the bytes the client sent, walked over once: is it JSON, which keys
 * stand at the top, where do their values lie. Decisions read from it and edits splice it, so
 * that all other bytes, number spellings and key order reach the provider as they were sent.
 *
 * It is a security boundary: what is checked here must be what the provider reads. Hence the
 * whole body is validated as `JSON.parse` would, and a key that decides or is edited may stand
 * only once, in whatever spelling. Any other key may repeat (`JSON.parse` takes it, and unknown
 * fields pass unchanged); its last value is the one read, as everywhere. `__proto__` is a key
 * like any other, and harmless: no object is ever built from the client's keys.
 */
import { isText } from './is-text.ts'
import { invalid, openJson, skipColon, skipSpace, skipString, skipValue } from './json-syntax.ts'

/** Keys that decide about a request or are edited by an upstream; a second one is refused. */
const uniqueKeys = ['model', 'stream', 'anthropic_version', 'anthropic_beta', 'tags'] as const

/**
 * Most members of the top-level object. The API has some thirty; the bound keeps the spans of a
 * hostile body below a megabyte.
 */
const membersMax = 10_000

/** Longer keys, as sent, have no name: nothing asks for them, and decoding costs their length. */
const keyMaxBytes = 1024

/**
 * Longest value read as a JavaScript value. Model names, tags and betas are below 4 KiB; parsing
 * more would block the event loop for what a client chose to send.
 */
const valueMaxBytes = 64 * 1024

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

export type JsonEdit =
  /** Replaces the value where it stands (every one, should the key repeat), or appends the key. */
  | { readonly kind: 'set'; readonly key: string; readonly value: JsonValue }
  /** Removes the key, its value and one comma; nothing when it is absent. */
  | { readonly kind: 'remove'; readonly key: string }

export interface JsonBody {
  readonly bytes: Uint8Array
  /** Top-level keys in the order sent, repeated ones too, without those above 1024 bytes. */
  keys(): readonly string[]
  has(key: string): boolean
  /** The string under `key`; undefined when absent, not a string, or above 64 KiB. */
  stringValue(key: string): string | undefined
  /** The value under `key`, parsed; undefined when absent or above 64 KiB. Parses anew each time. */
  value(key: string): unknown
  /** The value under `key` as sent, a view into `bytes`. */
  rawValue(key: string): Uint8Array | undefined
  /** Whether JavaScript takes the value under `key` for true; false when absent. */
  truthy(key: string): boolean
  /** A body with the edits made and every other byte as it was; this one stays as it is. */
  edit(edits: readonly JsonEdit[]): Uint8Array
  /** This body as if the client had never sent `key`, every other byte as it was. */
  without(key: (typeof uniqueKeys)[number]): JsonBody
}

export type ScanResult =
  | { readonly kind: 'ok'; readonly body: JsonBody }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'not-an-object' }
  | { readonly kind: 'duplicate'; readonly key: string }

/** One `"key": value` of the top-level object: offsets, ends exclusive, quotes included. */
interface Member {
  /** The key as text, undefined when it has none; null: it is ASCII that stands for itself. */
  readonly name: string | null | undefined
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
}

/** Walks over `bytes` once, to the end. They must not change as long as the body is in use. */
export function scanJsonBody(bytes: Uint8Array): ScanResult {
  const start = skipSpace(bytes, 0)
  if (bytes[start] !== 0x7b) {
    const end = skipValue(openJson(bytes), start)
    return { kind: isWhole(bytes, end) ? 'not-an-object' : 'invalid' }
  }
  const members: Member[] = []
  const end = walkMembers(bytes, start, members)
  if (!isWhole(bytes, end)) return { kind: 'invalid' }
  const key = findDuplicate(bytes, members)
  if (key !== undefined) return { kind: 'duplicate', key }
  return { kind: 'ok', body: createJsonBody(bytes, start, members) }
}

function isWhole(bytes: Uint8Array, end: number): boolean {
  return end !== invalid && skipSpace(bytes, end) === bytes.length
}

/** Walks over the object whose brace is at `start` and collects its members. */
function walkMembers(bytes: Uint8Array, start: number, members: Member[]): number {
  const source = openJson(bytes)
  let at = skipSpace(bytes, start + 1)
  if (bytes[at] === 0x7d) return at + 1
  for (;;) {
    const keyStart = at
    const keyEnd = skipString(source, keyStart)
    if (keyEnd === invalid || members.length === membersMax) return invalid
    const valueStart = skipColon(bytes, keyEnd)
    if (valueStart === invalid) return invalid
    const valueEnd = skipValue(source, valueStart)
    if (valueEnd === invalid) return invalid
    const name = isPlain(bytes, keyStart, keyEnd) ? null : readName(bytes, keyStart, keyEnd)
    members.push({ name, keyStart, keyEnd, valueStart, valueEnd })
    at = skipSpace(bytes, valueEnd)
    const next = bytes[at++]
    if (next === 0x7d) return at
    if (next !== 0x2c) return invalid
    at = skipSpace(bytes, at)
  }
}

/** Whether a string is spelled as nearly all are: without escapes, in ASCII, and not too long. */
function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > keyMaxBytes) return false
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (byte === 0x5c || byte >= 0x80) return false
  }
  return true
}

/** The key between `start` and `end` with its escapes resolved: `"mod\u0065l"` is `model`. */
function readName(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > keyMaxBytes) return undefined
  return String(parseSpan(bytes, start, end))
}

/** A plain key is compared where it stands: a text made of each would cost more than the walk. */
function isNamed(bytes: Uint8Array, { name, keyStart, keyEnd }: Member, key: string): boolean {
  return name === null ? isText(bytes, keyStart + 1, keyEnd - 1, key) : name === key
}

function nameOf(bytes: Uint8Array, { name, keyStart, keyEnd }: Member): string | undefined {
  return name === null ? textOf(bytes, keyStart + 1, keyEnd - 1) : name
}

function findDuplicate(bytes: Uint8Array, members: readonly Member[]): string | undefined {
  return uniqueKeys.find((key) => {
    const first = members.findIndex((member) => isNamed(bytes, member, key))
    return first !== -1 && members.findLastIndex((member) => isNamed(bytes, member, key)) !== first
  })
}

/** Parses a span that the walk has found to be one JSON value. */
function parseSpan(bytes: Uint8Array, start: number, end: number): unknown {
  const value: unknown = JSON.parse(textOf(bytes, start, end))
  return value
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString()
}

function createJsonBody(bytes: Uint8Array, start: number, members: readonly Member[]): JsonBody {
  const find = (key: string): Member | undefined =>
    members.findLast((member) => isNamed(bytes, member, key))
  const value = (key: string): unknown => {
    const member = find(key)
    if (member === undefined || member.valueEnd - member.valueStart > valueMaxBytes)
      return undefined
    const { valueStart, valueEnd } = member
    if (bytes[valueStart] === 0x22 && isPlain(bytes, valueStart, valueEnd)) {
      return textOf(bytes, valueStart + 1, valueEnd - 1)
    }
    return parseSpan(bytes, valueStart, valueEnd)
  }
  const body: JsonBody = {
    bytes,
    value,
    keys: () => members.flatMap((member) => nameOf(bytes, member) ?? []),
    has: (key) => find(key) !== undefined,
    stringValue(key) {
      const found = value(key)
      return typeof found === 'string' ? found : undefined
    },
    rawValue(key) {
      const member = find(key)
      return member && bytes.subarray(member.valueStart, member.valueEnd)
    },
    truthy(key) {
      const member = find(key)
      return member !== undefined && isTruthy(bytes, member)
    },
    edit: (edits) => splice(bytes, editSplices(bytes, start, members, edits)),
    without(key) {
      // The key stands once at most, so one cut takes it out.
      const [cut] = editSplices(bytes, start, members, [{ kind: 'remove', key }])
      if (cut === undefined) return body
      const others = members.filter((member) => !isNamed(bytes, member, key))
      return createJsonBody(splice(bytes, [cut]), start, moveUp(others, cut))
    },
  }
  return body
}

/** Where the members lie once another one is cut out: no second walk over megabytes. */
function moveUp(members: readonly Member[], cut: Splice): readonly Member[] {
  const by = cut.end - cut.start
  return members.map((member) => {
    const { name, keyStart, keyEnd, valueStart, valueEnd } = member
    if (keyStart < cut.start) return member
    return {
      name,
      keyStart: keyStart - by,
      keyEnd: keyEnd - by,
      valueStart: valueStart - by,
      valueEnd: valueEnd - by,
    }
  })
}

/** Read off the first bytes, except for numbers: a long string or array need not be parsed. */
function isTruthy(bytes: Uint8Array, { valueStart, valueEnd }: Member): boolean {
  const first: number = bytes[valueStart] ?? 0
  switch (first) {
    case 0x66: // false
    case 0x6e: // null
      return false
    case 0x22: // a string, its quotes included
      return valueEnd - valueStart > 2
    case 0x74: // true
    case 0x7b: // an object
    case 0x5b: // an array
      return true
    default: // 0, -0, 0.00 and 1e-999 are all zero
      return Number(textOf(bytes, valueStart, valueEnd)) !== 0
  }
}

/** Bytes `start` to `end` are replaced by `text`. Splices are in order and don't overlap. */
interface Splice {
  readonly start: number
  readonly end: number
  readonly text: string
}

function editSplices(
  bytes: Uint8Array,
  open: number,
  members: readonly Member[],
  edits: readonly JsonEdit[],
): Splice[] {
  const editOf = (member: Member): JsonEdit | undefined =>
    edits.findLast(({ key }) => isNamed(bytes, member, key))
  const lastKept = members.findLastIndex((member) => editOf(member)?.kind !== 'remove')
  const splices: Splice[] = []
  for (const [index, member] of members.entries()) {
    const edit = editOf(member)
    if (edit?.kind === 'set') {
      const { valueStart, valueEnd } = member
      splices.push({ start: valueStart, end: valueEnd, text: JSON.stringify(edit.value) })
    } else if (edit?.kind === 'remove' && index < lastKept) {
      // With the comma behind it, up to the next key.
      const next = members[index + 1]
      if (next) splices.push({ start: member.keyStart, end: next.keyStart, text: '' })
    }
  }
  const added = edits.flatMap((edit) => {
    const isLast = edits.findLast(({ key }) => key === edit.key) === edit
    const applies = edit.kind === 'set' && isLast
    if (!applies || members.some((member) => isNamed(bytes, member, edit.key))) return []
    return [`${JSON.stringify(edit.key)}:${JSON.stringify(edit.value)}`]
  })
  // What is removed at the end goes with the comma before it, and new keys take its place.
  const kept = members[lastKept]
  const start = kept?.valueEnd ?? members[0]?.keyStart ?? open + 1
  const end = members.at(-1)?.valueEnd ?? open + 1
  const comma = kept && added.length > 0 ? ',' : ''
  if (added.length > 0 || end > start) splices.push({ start, end, text: comma + added.join(',') })
  return splices
}

function splice(bytes: Uint8Array, splices: readonly Splice[]): Uint8Array {
  if (splices.length === 0) return bytes
  const parts: Uint8Array[] = []
  let at = 0
  for (const { start, end, text } of splices) {
    parts.push(bytes.subarray(at, start), Buffer.from(text))
    at = end
  }
  parts.push(bytes.subarray(at))
  // Every byte is written below, so the memory need not be cleared first.
  const edited = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    edited.set(part, offset)
    offset += part.length
  }
  return edited
}
