/**
 * Picks the value of one top-level key out of a JSON document that passes by in chunks, however
 * large the document is and wherever in it the key stands. For response bodies, which are never
 * held as a whole. It follows the nesting but does not validate: what a broken document gives is
 * harmless, and undefined otherwise. It must not throw for anything an upstream sends.
 */
import { asBuffer } from './as-buffer.ts'
import { createBoundedBytes, type BoundedBytes } from './bounded-bytes.ts'

export interface FieldScanner {
  push(chunk: Uint8Array): void
  /** The value's bytes as sent, the last one should the key repeat; null: none, or too large. */
  value(): Uint8Array | null
  /** The document's outermost brace was closed. */
  closed(): boolean
}

interface State {
  /** The key between its quotes. Its escaped spellings are not looked for: no provider has them. */
  readonly name: Buffer
  /** Bytes of the key being read: one more than the name's length is kept, to tell it longer. */
  readonly key: BoundedBytes
  readonly kept: BoundedBytes
  /** A document that starts with anything but a brace holds no key. */
  place: 'start' | 'inside' | 'closed' | 'no-object'
  depth: number
  inString: boolean
  /** The last byte was a backslash that escapes the next one. */
  escaped: boolean
  /** A string that starts now, at the top level, is a key. */
  expectsKey: boolean
  readsKey: boolean
  /** The last top-level key was the one looked for. */
  matched: boolean
  capturing: boolean
  found: boolean
}

/** Scans for the top-level key `name`; a value above `valueMaxBytes` is not kept. */
export function createFieldScanner(name: string, valueMaxBytes: number): FieldScanner {
  const state: State = {
    name: Buffer.from(name),
    key: createBoundedBytes(name.length, name.length),
    kept: createBoundedBytes(Math.min(1024, valueMaxBytes), valueMaxBytes),
    place: 'start',
    depth: 0,
    inString: false,
    escaped: false,
    expectsKey: false,
    readsKey: false,
    matched: false,
    capturing: false,
    found: false,
  }
  return {
    push: (chunk) => scan(state, asBuffer(chunk)),
    value: () => (state.found ? state.kept.view() : null),
    closed: () => state.place === 'closed',
  }
}

function scan(state: State, bytes: Buffer): void {
  let at = 0
  while (at < bytes.length) {
    if (state.place === 'start') {
      at = findOpening(state, bytes, at)
      continue
    }
    if (state.place !== 'inside') return
    const { capturing } = state
    const end = state.inString ? scanString(state, bytes, at) : scanStructure(state, bytes, at)
    if (capturing) state.kept.append(bytes, at, end)
    at = end
  }
}

/** White space, and a byte order mark, may stand before the document. */
function findOpening(state: State, bytes: Buffer, start: number): number {
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === 0x7b) {
      state.place = 'inside'
      return at
    }
    if (byte > 0x20 && byte !== 0xef && byte !== 0xbb && byte !== 0xbf) {
      state.place = 'no-object'
      return at
    }
  }
  return bytes.length
}

/** Scans up to and with the closing quote, or to the end of the chunk. */
function scanString(state: State, bytes: Buffer, start: number): number {
  let at = start
  if (state.escaped) {
    state.escaped = false
    at++
  }
  while (at <= bytes.length) {
    const quote = bytes.indexOf(0x22, at)
    const end = quote < 0 ? bytes.length : quote
    let backslash = end
    while (backslash > at && bytes[backslash - 1] === 0x5c) backslash--
    const escaped = (end - backslash) % 2 === 1
    if (quote < 0) {
      state.escaped = escaped
      break
    }
    at = quote + 1
    if (escaped) continue
    if (state.readsKey) state.key.append(bytes, start, quote)
    endString(state)
    return at
  }
  if (state.readsKey) state.key.append(bytes, start, bytes.length)
  return bytes.length
}

function endString(state: State): void {
  state.inString = false
  if (!state.readsKey) return
  state.readsKey = false
  const key = state.key.view()
  state.matched = key !== null && state.name.equals(key)
}

function startKey(state: State): void {
  state.expectsKey = false
  state.readsKey = true
  state.key.clear()
}

function startValue(state: State): void {
  state.matched = false
  state.found = false
  state.capturing = true
  state.kept.clear()
}

function endValue(state: State): void {
  state.capturing = false
  state.found = true
}

/** Scans over the next byte that changes something; up to it when it ends a captured value. */
function scanStructure(state: State, bytes: Buffer, start: number): number {
  for (let at = start; at < bytes.length; at++) {
    switch (bytes[at] ?? 0) {
      case 0x22: // "
        state.inString = true
        if (state.expectsKey) startKey(state)
        return at + 1
      case 0x7b: // {
      case 0x5b: // [
        state.depth++
        state.expectsKey = state.depth === 1
        break
      case 0x7d: // }
      case 0x5d: // ]
        if (state.capturing && state.depth === 1) {
          endValue(state)
          return at
        }
        state.depth--
        if (state.depth === 0) {
          state.place = 'closed'
          return at + 1
        }
        break
      case 0x2c: // ,
        if (state.capturing && state.depth === 1) {
          endValue(state)
          return at
        }
        state.expectsKey = state.depth === 1
        break
      case 0x3a: // :
        if (state.matched && state.depth === 1) {
          startValue(state)
          return at + 1
        }
        break
      default:
    }
  }
  return bytes.length
}
