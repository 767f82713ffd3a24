/**
 * Walks JSON (RFC 8259) as bytes, without making a value of anything. `json-body.ts` stands on
 * it. It accepts exactly what `JSON.parse` accepts of the same bytes decoded as UTF-8: bytes that
 * are no UTF-8 are allowed inside strings, where decoding would put U+FFFD, and nowhere else.
 * Every function takes the offset to start at and returns the offset behind what it walked over,
 * or `invalid`. It must never recurse: nesting is under the sender's control.
 */
import { isText } from './is-text.ts'

/** Returned instead of an offset: not JSON. */
export const invalid = -1

/**
 * Deepest nesting taken. `JSON.parse` has no limit, but readers behind us that recurse do, and
 * the scratch below stays small. Tool schemas and tool results nest some dozens of levels.
 */
export const nestingMax = 10_000

/** Is the container at this level an object? Shared: a walk never yields. */
const isObjectAt = new Uint8Array(nestingMax)

export interface JsonSource {
  readonly bytes: Uint8Array
  /** The same memory, read in words of four bytes. */
  readonly view: DataView
}

/** Prepares `bytes` for walking; they must not change meanwhile. */
export function openJson(bytes: Uint8Array): JsonSource {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
}

/** Walks over space, tab, line feed and carriage return. */
export function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start
  for (;;) {
    const byte = bytes[at]
    if (byte === undefined || byte > 0x20) return at
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at++
  }
}

/** Walks over a string whose opening quote is at `start`. */
export function skipString(source: JsonSource, start: number): number {
  const { bytes } = source
  if (bytes[start] !== 0x22) return invalid
  let at = skipPlain(source, start + 1)
  while (bytes[at] === 0x5c) {
    const behind = skipEscape(bytes, at)
    if (behind === invalid) return invalid
    at = skipPlain(source, behind)
  }
  return bytes[at] === 0x22 ? at + 1 : invalid
}

/**
 * Walks over bytes that mean themselves inside a string, eight at a time: prompts are nearly all
 * of a body, and this is five times as fast as a byte at a time.
 */
function skipPlain({ bytes, view }: JsonSource, start: number): number {
  const lastStart = bytes.length - 8
  let at = start
  for (; at <= lastStart; at += 8) {
    const first = findSpecial(view.getInt32(at, true))
    if (first !== 0) return at + lowestByte(first)
    const second = findSpecial(view.getInt32(at + 4, true))
    if (second !== 0) return at + 4 + lowestByte(second)
  }
  for (;;) {
    const byte = bytes[at]
    if (byte === undefined || byte < 0x20 || byte === 0x22 || byte === 0x5c) return at
    at++
  }
}

/**
 * Of the four bytes of `word`, marks by their highest bit those below 0x20, quotes and
 * backslashes: the classic "has a byte less than n" and "has a zero byte", for bytes that are
 * ASCII. A subtraction borrows only from above a byte it marks, so a mark that is wrong has a
 * right one below it: the lowest one is always right.
 */
function findSpecial(word: number): number {
  const control = word - 0x20202020
  const quote = (word ^ 0x22222222) - 0x01010101
  const backslash = (word ^ 0x5c5c5c5c) - 0x01010101
  return (control | quote | backslash) & ~word & 0x80808080
}

/** Which of its four bytes is the lowest that has a bit set. */
function lowestByte(marks: number): number {
  return (31 - Math.clz32(marks & -marks)) >> 3
}

/** The letters behind a backslash that are all of the escape. */
const isEscaped = new Uint8Array(256)
for (const byte of Buffer.from('"\\/bfnrt')) isEscaped[byte] = 1

/** Walks over the escape whose backslash is at `start`. */
function skipEscape(bytes: Uint8Array, start: number): number {
  const letter = bytes[start + 1] ?? 0
  if (isEscaped[letter] === 1) return start + 2
  if (letter !== 0x75) return invalid
  for (let at = start + 2; at < start + 6; at++) if (!isHex(bytes[at])) return invalid
  return start + 6
}

/** Walks over one value of any kind. */
export function skipValue(source: JsonSource, start: number): number {
  const { bytes } = source
  let at = start
  let depth = 0
  for (;;) {
    const byte = bytes[at]
    if (byte === 0x7b || byte === 0x5b) {
      if (depth === nestingMax) return invalid
      const isObject = byte === 0x7b
      isObjectAt[depth++] = isObject ? 1 : 0
      at = skipSpace(bytes, at + 1)
      if (bytes[at] !== (isObject ? 0x7d : 0x5d)) {
        if (isObject) at = skipKey(source, at)
        if (at === invalid) return invalid
        continue
      }
      depth--
      at++
    } else {
      at = byte === 0x22 ? skipString(source, at) : skipScalar(bytes, at)
      if (at === invalid) return invalid
    }
    // Behind a value: close what ends here, then go on to the next value.
    for (;;) {
      if (depth === 0) return at
      at = skipSpace(bytes, at)
      const isObject = isObjectAt[depth - 1] === 1
      const next = bytes[at++]
      if (next === 0x2c) {
        at = skipSpace(bytes, at)
        if (isObject) at = skipKey(source, at)
        if (at === invalid) return invalid
        break
      }
      if (next !== (isObject ? 0x7d : 0x5d)) return invalid
      depth--
    }
  }
}

/** Walks over a member's key, its colon and the space around that, up to its value. */
function skipKey(source: JsonSource, start: number): number {
  const behindKey = skipString(source, start)
  return behindKey === invalid ? invalid : skipColon(source.bytes, behindKey)
}

/** Walks over the colon behind a key and the space around it. */
export function skipColon(bytes: Uint8Array, start: number): number {
  const colon = skipSpace(bytes, start)
  return bytes[colon] === 0x3a ? skipSpace(bytes, colon + 1) : invalid
}

/** Walks over a number, `true`, `false` or `null`. */
function skipScalar(bytes: Uint8Array, start: number): number {
  const byte = bytes[start]
  if (byte === 0x74) return skipWord(bytes, start, 'true')
  if (byte === 0x66) return skipWord(bytes, start, 'false')
  if (byte === 0x6e) return skipWord(bytes, start, 'null')
  return skipNumber(bytes, start)
}

function skipWord(bytes: Uint8Array, start: number, word: string): number {
  const end = start + word.length
  return isText(bytes, start, end, word) ? end : invalid
}

function skipNumber(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === 0x2d ? start + 1 : start
  // A leading zero stands alone: 01 is not JSON.
  at = bytes[at] === 0x30 ? at + 1 : skipDigits(bytes, at)
  if (at !== invalid && bytes[at] === 0x2e) at = skipDigits(bytes, at + 1)
  if (at !== invalid && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
    const sign = bytes[at + 1]
    at = skipDigits(bytes, sign === 0x2b || sign === 0x2d ? at + 2 : at + 1)
  }
  return at
}

/** Walks over at least one digit. */
function skipDigits(bytes: Uint8Array, start: number): number {
  for (let at = start; ; at++) {
    const byte = bytes[at]
    if (byte === undefined || byte < 0x30 || byte > 0x39) return at === start ? invalid : at
  }
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false
  const lower = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66)
}
