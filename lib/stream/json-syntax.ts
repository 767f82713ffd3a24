/**
 * Walks JSON (RFC 8259) as bytes, without making a value of anything. `json-body.ts` stands on
 * it. It accepts exactly what `JSON.parse` accepts of the same bytes decoded as UTF-8: bytes that
 * are no UTF-8 are allowed inside strings, where decoding would put U+FFFD, and nowhere else.
 * Every function takes the offset to start at and returns the offset behind what it walked over,
 * or `invalid`. It must never recurse: nesting is under the sender's control.
 */

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
  /** The same memory in words of four bytes, from the last aligned address before `bytes`. */
  readonly words: Int32Array
  /** How many bytes `words` starts before `bytes`: 0 to 3. */
  readonly lead: number
}

/** Prepares `bytes` for walking; they must not change meanwhile. */
export function openJson(bytes: Uint8Array): JsonSource {
  const lead = bytes.byteOffset % 4
  const words = (lead + bytes.length) >> 2
  return { bytes, words: new Int32Array(bytes.buffer, bytes.byteOffset - lead, words), lead }
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
  let at = start + 1
  for (;;) {
    const byte = bytes[at]
    if (byte === undefined || byte < 0x20) return invalid
    if (byte === 0x22) return at + 1
    if (byte !== 0x5c) {
      at = skipPlain(source, at + 1)
    } else {
      at = skipEscape(bytes, at)
      if (at === invalid) return invalid
    }
  }
}

/**
 * Walks over bytes that mean themselves inside a string, four at a time: prompts are nearly all
 * of a body, and this is three times as fast as a byte at a time. A word is left when one of its
 * bytes may be below 0x20, a quote or a backslash; the bit tricks are the classic "has a byte
 * less than n" and "has a zero byte", which never miss one.
 */
function skipPlain(source: JsonSource, start: number): number {
  const { bytes, words, lead } = source
  let at = start
  for (; ((at + lead) & 3) !== 0; at++) {
    const byte = bytes[at]
    if (byte === undefined || byte < 0x20 || byte === 0x22 || byte === 0x5c) return at
  }
  let index = (at + lead) >> 2
  for (; index < words.length; index++) {
    const word = words[index] ?? 0
    const quote = word ^ 0x22222222
    const backslash = word ^ 0x5c5c5c5c
    const control = (word - 0x20202020) & ~word
    const special = ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash)
    if (((control | special) & 0x80808080) !== 0) break
  }
  at = (index << 2) - lead
  // At most four bytes remain of the word that stopped the loop, or three of the tail.
  for (;;) {
    const byte = bytes[at]
    if (byte === undefined || byte < 0x20 || byte === 0x22 || byte === 0x5c) return at
    at++
  }
}

/** Walks over the escape whose backslash is at `start`. */
function skipEscape(bytes: Uint8Array, start: number): number {
  const letter: number = bytes[start + 1] ?? 0
  switch (letter) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return start + 2
    case 0x75: // u
      for (let at = start + 2; at < start + 6; at++) if (!isHex(bytes[at])) return invalid
      return start + 6
    default:
      return invalid
  }
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
  for (let index = 1; index < word.length; index++) {
    if (bytes[start + index] !== word.charCodeAt(index)) return invalid
  }
  return start + word.length
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
