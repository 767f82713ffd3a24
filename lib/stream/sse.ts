/**
 * Finds the events of a server-sent event stream (WHATWG HTML, section 9.2) as its bytes pass by,
 * for readers that look at few of them: the meter, and whoever must end a broken stream well.
 * It does no IO and never changes, delays or keeps the bytes; an event nobody wants is neither
 * decoded nor copied, only measured. It must not throw for anything an upstream sends.
 */
import { isAscii } from 'node:buffer'
import { asBuffer } from './as-buffer.ts'
import { createBoundedBytes, type BoundedBytes } from './bounded-bytes.ts'
import { isText } from './is-text.ts'
import { messageEvents } from './relay.ts'

export interface SseListener {
  /**
   * Whether the data of an event is to be kept; asked at its first data line. The type is empty
   * when no `event` line came before.
   */
  wants(type: string): boolean
  /** The type that nearly all events have, never wanted: those are passed over faster. */
  readonly common?: string
  /**
   * One event, at its blank line. `data` is null when it was not wanted or grew above the bound,
   * and is valid only during the call. `chars` is the length of the data in UTF-16 units.
   */
  event(type: string, data: Uint8Array | null, chars: number): void
}

export interface SseScanner {
  push(chunk: Uint8Array): void
  /**
   * The stream has ended, or was cut: reports a half event as far as it came. Clients drop it,
   * but what it holds was delivered. Nothing may be pushed afterwards.
   */
  finish(): void
  /** True at the start and after each blank line: another event may be written here. */
  atBoundary(): boolean
  /** What closes a half event so that another can follow: line feeds, or nothing at a boundary. */
  closing(): '' | '\n' | '\n\n'
}

/**
 * Most data kept of one event. Events that carry usage are a few KiB; an upstream that sends more
 * is broken or hostile, and thousands of streams may each hold as much.
 */
const dataMaxBytes = 256 * 1024

/** Enough for most usage events that come in more than one chunk. */
const dataInitialBytes = 1024

/** Longest type told apart; those of the Messages API have at most 19 letters. */
const typeMaxBytes = 64

/** Longest data that is read a byte at a time: of more, the system's searches are faster. */
const usualMaxBytes = 4096

const lineFeed = 0x0a
const carriageReturn = 0x0d
const joint = Uint8Array.of(lineFeed)
const eventName = Buffer.from('event: ')
const dataName = Buffer.from('\ndata: ')
const byteOrderMark = Uint8Array.of(0xef, 0xbb, 0xbf)

interface State {
  readonly listener: SseListener
  /** How an event of the common type starts, up to its data. */
  readonly commonHead: Uint8Array | null
  readonly maxBytes: number
  readonly kept: BoundedBytes
  /**
   * Where in its line the next byte stands: in the field name, behind the colon where one space
   * is dropped, in the value of an event or data line, or in a line of no interest.
   */
  place: 'name' | 'space' | 'value' | 'rest'
  /** What the name so far is a beginning of. */
  field: 'event' | 'data' | null
  nameLength: number
  /** Bytes seen of a byte order mark, which may stand before the first line only. */
  markLength: number
  /** The last line ended in CR: an LF now belongs to it. */
  afterCr: boolean
  /** A field of the current event was seen. */
  open: boolean
  type: string
  /** The type before it: most events are of the type of their predecessor. */
  lastType: string
  dataLines: number
  keeps: boolean
  /** None of the data was kept yet. */
  keptNothing: boolean
  /** Kept data that lies in the chunk at hand; it is copied only when the event outlives that. */
  inPlace: Buffer | null
  chars: number
}

/** Of an event's data at most `maxBytes` are kept; those of readers that only look are few. */
export function createSseScanner(
  listener: SseListener,
  maxBytes: number = dataMaxBytes,
): SseScanner {
  const state: State = {
    listener,
    commonHead: listener.common === undefined ? null : headOf(listener.common),
    maxBytes,
    kept: createBoundedBytes(dataInitialBytes, maxBytes),
    place: 'name',
    field: null,
    nameLength: 0,
    markLength: 0,
    afterCr: false,
    open: false,
    type: '',
    lastType: '',
    dataLines: 0,
    keeps: false,
    keptNothing: true,
    inPlace: null,
    chars: 0,
  }
  const atLineStart = (): boolean => state.place === 'name' && state.nameLength === 0
  return {
    push(chunk) {
      scan(state, asBuffer(chunk))
      copyKept(state)
    },
    finish() {
      // What closes the half event is still to be known.
      const { open } = state
      endEvent(state)
      state.open = open
    },
    atBoundary: () => atLineStart() && !state.open,
    closing() {
      if (!state.open) return atLineStart() ? '' : '\n'
      // Behind a CR the first line feed would only complete its line end.
      return atLineStart() && !state.afterCr ? '\n' : '\n\n'
    },
  }
}

function scan(state: State, bytes: Buffer): void {
  let at = 0
  if (isEventStart(state)) {
    at = passUsual(state, bytes, at)
    if (at === bytes.length) return
  }
  const ascii = isAscii(bytes)
  // Hardly any upstream sends CR, so it is looked for once per chunk, not once per line.
  let nextCr = bytes.indexOf(carriageReturn, at)
  while (at < bytes.length) {
    if (isEventStart(state)) {
      at = passUsual(state, bytes, at)
      if (at === bytes.length) return
    }
    if (state.afterCr) {
      state.afterCr = false
      if (bytes[at] === lineFeed && ++at === bytes.length) return
    }
    if (state.place === 'name') at = readName(state, bytes, at)
    if (at === bytes.length) return
    if (state.place === 'space') {
      if (bytes[at] === 0x20) at++
      state.place = 'value'
    }
    let end = at
    if (state.place !== 'name') {
      end = bytes.indexOf(lineFeed, at)
      if (end < 0) end = bytes.length
      if (nextCr >= 0 && nextCr < at) nextCr = bytes.indexOf(carriageReturn, at)
      if (nextCr >= 0 && nextCr < end) end = nextCr
      if (state.place === 'value') readValue(state, bytes, at, end, ascii)
      if (end === bytes.length) return
    }
    state.afterCr = bytes[end] === carriageReturn
    at = end + 1
    endLine(state)
  }
}

function isEventStart({ place, nameLength, open, afterCr }: State): boolean {
  return place === 'name' && nameLength === 0 && !open && !afterCr
}

/**
 * Reports whole events in the usual spelling, an event line and one data line, in one loop without
 * a call per line: between two wake-ups of a paced stream the processor has forgotten all other
 * code, and nine tenths of the meter's cost were finding it again. Stops before an event that is
 * spelled otherwise, long or not whole yet, which is then read line by line.
 */
function passUsual(state: State, bytes: Buffer, start: number): number {
  const { listener, commonHead } = state
  const { length } = bytes
  let at = start
  for (;;) {
    const isCommon = commonHead !== null && startsWith(bytes, at, commonHead)
    const dataAt = isCommon ? at + commonHead.length : behindHead(bytes, at)
    if (dataAt < 0) return at
    const last = Math.min(length, dataAt + usualMaxBytes)
    let end = dataAt
    let chars = 0
    let byte = 0
    for (; end < last; end++) {
      byte = bytes[end] ?? 0
      if (byte === lineFeed || byte === carriageReturn) break
      // As `countChars` counts.
      if (byte < 0x80) chars++
      else if (byte >= 0xc0) chars += byte < 0xf0 ? 1 : 2
    }
    if (end === last || byte !== lineFeed || bytes[end + 1] !== lineFeed) return at
    state.markLength = byteOrderMark.length
    if (isCommon) {
      listener.event(listener.common ?? '', null, chars)
    } else {
      const type = typeOf(bytes, at + eventName.length, dataAt - dataName.length)
      const keeps = listener.wants(type) && end - dataAt <= state.maxBytes
      listener.event(type, keeps ? bytes.subarray(dataAt, end) : null, chars)
    }
    at = end + 2
  }
}

/** Where the data of the event at `at` begins, -1 when its first two lines are not the usual ones. */
function behindHead(bytes: Uint8Array, at: number): number {
  if (!startsWith(bytes, at, eventName)) return -1
  const typeAt = at + eventName.length
  const last = Math.min(bytes.length, typeAt + typeMaxBytes + 1)
  for (let end = typeAt; end < last; end++) {
    const byte = bytes[end]
    if (byte === carriageReturn) return -1
    if (byte === lineFeed) return startsWith(bytes, end, dataName) ? end + dataName.length : -1
  }
  return -1
}

/** Looks at the length first: a load from beyond the end would slow all others down. */
function startsWith(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (at + wanted.length > bytes.length) return false
  for (let index = 0; index < wanted.length; index++) {
    if (bytes[at + index] !== wanted[index]) return false
  }
  return true
}

/** Looked for before a text is made of the bytes. */
const usualTypes = [...messageEvents, 'ping']

function typeOf(bytes: Buffer, start: number, end: number): string {
  for (const type of usualTypes) if (isText(bytes, start, end, type)) return type
  return bytes.toString('latin1', start, end)
}

const heads = new Map<string, Uint8Array>()

/** One per type the product names; made once. */
function headOf(type: string): Uint8Array {
  const known = heads.get(type)
  if (known !== undefined) return known
  const head = Buffer.from(`event: ${type}\ndata: `)
  heads.set(type, head)
  return head
}

/**
 * Reads a field name up to and with its colon, up to the end of the line, or to the end of the
 * chunk. A name that cannot become one of the two of interest is given up at once.
 */
function readName(state: State, bytes: Buffer, start: number): number {
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === lineFeed || byte === carriageReturn) return at
    if (state.markLength < byteOrderMark.length) {
      if (byte === byteOrderMark[state.markLength]) {
        state.markLength++
        continue
      }
      state.markLength = byteOrderMark.length
    }
    if (byte === 0x3a) {
      // A line that starts with its colon is a comment, and no part of an event.
      const known = state.field?.length === state.nameLength
      if (known) startField(state)
      state.place = known ? 'space' : 'rest'
      return at + 1
    }
    if (state.nameLength === 0) {
      state.open = true
      state.field = byte === 0x64 ? 'data' : byte === 0x65 ? 'event' : null
    } else if (state.field?.charCodeAt(state.nameLength) !== byte) {
      state.field = null
    }
    state.nameLength++
    if (state.field === null) {
      state.place = 'rest'
      return at + 1
    }
  }
  return bytes.length
}

function startField(state: State): void {
  if (state.field === 'event') {
    state.type = ''
    return
  }
  if (state.dataLines++ === 0) {
    state.keeps = state.listener.wants(state.type)
    state.keptNothing = true
    state.kept.clear()
    return
  }
  // Data lines are joined by a line feed.
  state.chars++
  if (!state.keeps) return
  copyKept(state)
  state.keptNothing = false
  state.kept.append(joint, 0, 1)
}

function readValue(state: State, bytes: Buffer, start: number, end: number, ascii: boolean): void {
  if (state.field === 'data') {
    state.chars += ascii ? end - start : countChars(bytes, start, end)
    if (state.keeps) keep(state, bytes, start, end)
  } else if (state.type === '' && isText(bytes, start, end, state.lastType)) {
    state.type = state.lastType
  } else {
    const room = typeMaxBytes - state.type.length
    state.type += bytes.toString('latin1', start, Math.min(end, start + room))
  }
}

function keep(state: State, bytes: Buffer, start: number, end: number): void {
  const isAll = state.keptNothing && end - start <= state.maxBytes
  state.keptNothing = false
  if (isAll) state.inPlace = bytes.subarray(start, end)
  else state.kept.append(bytes, start, end)
}

function copyKept(state: State): void {
  if (state.inPlace === null) return
  state.kept.append(state.inPlace, 0, state.inPlace.length)
  state.inPlace = null
}

function endLine(state: State): void {
  const { place, nameLength, field } = state
  state.place = 'name'
  state.nameLength = 0
  state.markLength = byteOrderMark.length
  if (place !== 'name') return
  if (nameLength === 0) endEvent(state)
  // A name without a colon is a field with an empty value.
  else if (field?.length === nameLength) startField(state)
}

function endEvent(state: State): void {
  const { type, chars, dataLines } = state
  const data = state.keeps ? (state.inPlace ?? state.kept.view()) : null
  if (type !== '') state.lastType = type
  state.type = ''
  state.open = false
  state.dataLines = 0
  state.inPlace = null
  state.chars = 0
  // Without a data line it is no event (same section, "dispatch the event").
  if (dataLines > 0) state.listener.event(type, data, chars)
}

/** UTF-16 units of UTF-8 bytes: one per lead byte, two where it leads four; none for the others. */
function countChars(bytes: Uint8Array, start: number, end: number): number {
  let chars = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if ((byte & 0xc0) !== 0x80) chars += byte < 0xf0 ? 1 : 2
  }
  return chars
}
