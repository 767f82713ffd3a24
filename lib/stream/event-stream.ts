/**
 * Decodes the binary framing in which Amazon Bedrock streams (application/vnd.amazon.eventstream:
 * a prelude with two lengths and its checksum, headers, a payload, the checksum of all) into the
 * server-sent events of the Messages API. Given to `relayEvents`. Every checksum is verified; an
 * exception, a broken or a half frame breaks the stream. It must not throw for anything received.
 *
 * Own code, because this is the hot path of Bedrock: with zlib's checksums, the headers of the
 * frame before to compare with and a look that spares most events a parser, a frame takes 1.4 µs to
 * its event; with AWS's codec and a parser it took 4.0 µs.
 */
import { crc32 } from 'node:zlib'
import { UpstreamBroke } from '../kernel/abort.ts'
import { asBuffer } from './as-buffer.ts'
import { createBoundedBytes } from './bounded-bytes.ts'
import { type EventDecoder, messageEvents } from './relay.ts'

/** Two lengths and their checksum. */
const preludeBytes = 12

/** The prelude and the checksum at the end. */
const frameMinBytes = 16

/** The format's own bounds: 128 KiB of headers and 16 MiB of payload. */
const frameMaxBytes = 16 * 1024 * 1024 + 128 * 1024 + frameMinBytes

/** A frame and the chunk that completes it; sockets are read in pieces of 64 KiB. */
const keptMaxBytes = 2 * frameMaxBytes

/** Enough for most frames that come in more than one chunk. */
const keptInitialBytes = 2048

/** The type of a header's value that is text; others are skipped by their size. */
const textValue = 7

/** Sizes of the values of the other types, by type: true, false, byte … timestamp; then a UUID. */
const valueSizes: readonly number[] = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16]

/** What Bedrock's payloads begin with; the bytes are base64, which needs no JSON parser. */
const payloadStart = Buffer.from('{"bytes":"')

/**
 * Decoded events pass through here one after the other: making memory for each takes as long as
 * decoding it. Longer ones get their own.
 */
const scratch = Buffer.allocUnsafeSlow(16 * 1024)

/**
 * Nearly all events of a stream, spelled just as JSON.stringify spells them, and so their own
 * re-spelling: no white space, no key twice, no escape but the short ones.
 */
const plainDelta =
  /^\{"type":"content_block_delta","index":(?:0|[1-9]\d{0,8}),"delta":\{"type":"\w{1,32}","(?!type")[a-z_]{1,32}":"(?:[ !#-[\]-\uFFFF]|\\["\\bfnrt])*"\}\}$/

/** Longer ones are parsed: the expression above keeps a place to come back to for each character. */
const plainDeltaMaxLength = 4096

/** What one byte does to a CRC-32, read off zlib's sums of single bytes. */
const sumTable: Int32Array = Int32Array.from(
  { length: 256 },
  (_, byte) => ~crc32(Uint8Array.of(byte ^ 0xff)) ^ 0x00ff_ffff,
)

/** Exceptions whose payload is `{"message": …}`; of others the payload is told as it came. */
const knownExceptions: ReadonlySet<string> = new Set([
  'modelStreamErrorException',
  'throttlingException',
  'internalServerException',
  'validationException',
  'modelTimeoutException',
  'serviceUnavailableException',
])

/** A decoder of one body. */
export function createEventStreamDecoder(): EventDecoder {
  const kept = createBoundedBytes(keptInitialBytes, keptMaxBytes)
  let keptLength = 0
  const state: State = { failure: null, eventHeaders: null }

  return {
    push(chunk) {
      let bytes = asBuffer(chunk)
      if (keptLength > 0) {
        kept.append(bytes, 0, bytes.length)
        const all = kept.view()
        if (all === null) return refuse(state, `a chunk of ${chunk.length} bytes`)
        bytes = asBuffer(all)
      }
      let events = ''
      let at = 0
      while (state.failure === null) {
        const length = measureFrame(state, bytes, at)
        if (length === 0) break
        events += readFrame(state, bytes.subarray(at, at + length))
        at += length
      }
      // A frame that is still growing stays where it is: moving it with each chunk would cost
      // the square of its length.
      if (at > 0 || keptLength === 0) {
        kept.clear()
        kept.append(bytes, at, bytes.length)
      }
      keptLength = bytes.length - at
      return events
    },
    end() {
      if (keptLength > 0) state.failure ??= new UpstreamBroke('Truncated event message received.')
    },
    failure: () => state.failure,
  }
}

interface State {
  failure: UpstreamBroke | null
  /** Headers that were found to be those of an event: nearly all frames have the same. */
  eventHeaders: Buffer | null
}

/** How long the frame at `at` is; 0 when it is not whole yet, or broken. */
function measureFrame(state: State, bytes: Buffer, at: number): number {
  if (bytes.length - at < preludeBytes) return 0
  const length = bytes.readUInt32BE(at)
  const headersLength = bytes.readUInt32BE(at + 4)
  const preludeSum = sumOfEight(bytes, at)
  const expectedPreludeSum = bytes.readUInt32BE(at + 8)
  if (preludeSum !== expectedPreludeSum) {
    return fail(state, mismatch('prelude', preludeSum, expectedPreludeSum))
  }
  if (length > frameMaxBytes || headersLength > length - frameMinBytes) {
    return fail(state, `a frame of ${length} bytes with ${headersLength} bytes of headers`)
  }
  const end = at + length
  if (bytes.length < end) return 0
  const sum = crc32(bytes.subarray(at, end - 4))
  const expectedSum = bytes.readUInt32BE(end - 4)
  return sum === expectedSum ? length : fail(state, mismatch('message', sum, expectedSum))
}

function mismatch(part: string, sum: number, expected: number): string {
  return `The ${part} checksum (${sum}) did not match the expected value of ${expected}`
}

function fail(state: State, message: string): 0 {
  state.failure = new UpstreamBroke(message)
  return 0
}

/** The event in a whole frame whose checksums are right; empty when clients get none of it. */
function readFrame(state: State, frame: Buffer): string {
  const headersEnd = preludeBytes + frame.readUInt32BE(4)
  const payloadEnd = frame.length - 4
  const known = state.eventHeaders
  if (known === null || frame.compare(known, 0, known.length, preludeBytes, headersEnd) !== 0) {
    const headers = frame.subarray(preludeBytes, headersEnd)
    const named = readHeaders(headers)
    if (named === null) return refuse(state, 'the headers of a frame are broken')
    const messageType = named.get(':message-type')
    if (messageType !== 'event') {
      return refuse(state, describeFailure(named, frame.subarray(headersEnd, payloadEnd)))
    }
    if (named.get(':event-type') !== 'chunk') return ''
    state.eventHeaders = Buffer.from(headers)
  }
  return readPayload(state, frame, headersEnd, payloadEnd)
}

function refuse(state: State, message: string): '' {
  fail(state, message)
  return ''
}

function readPayload(state: State, frame: Buffer, start: number, end: number): string {
  const encoded = findBytes(frame, start, end)
  if (encoded === null) return refuse(state, 'the payload of a frame is no JSON')
  const sent = decodeBase64(encoded)
  if (sent.length <= plainDeltaMaxLength && plainDelta.test(sent)) {
    return `event: content_block_delta\ndata: ${sent}\n\n`
  }
  try {
    const event: unknown = JSON.parse(sent)
    const type = fieldOf(event, 'type')
    const text = JSON.stringify(event)
    // An error inside the message's own events is the provider's to word.
    if (type === 'error') return refuse(state, text)
    if (typeof type !== 'string' || !messageEvents.has(type)) return ''
    return `event: ${type}\ndata: ${text}\n\n`
  } catch {
    // The parser's message quotes the text, which may be a completion: it is not for the log.
    return refuse(state, 'Could not parse a Bedrock chunk into JSON')
  }
}

/** The base64 of a payload's `bytes`; null when the payload is broken, empty without any. */
function findBytes(frame: Buffer, start: number, end: number): string | null {
  const bytesStart = start + payloadStart.length
  if (bytesStart < end && isStart(frame, start)) {
    const quote = frame.indexOf(0x22, bytesStart)
    if (quote > 0 && quote < end) return frame.toString('latin1', bytesStart, quote)
  }
  try {
    const bytes = fieldOf(JSON.parse(frame.toString('utf8', start, end)), 'bytes')
    return typeof bytes === 'string' ? bytes : 'e30='
  } catch {
    return null
  }
}

/** Compared here, as a call into native code takes longer than ten bytes. */
function isStart(frame: Buffer, start: number): boolean {
  for (let i = 0; i < payloadStart.length; i++) {
    if (frame[start + i] !== payloadStart[i]) return false
  }
  return true
}

function decodeBase64(encoded: string): string {
  if (encoded.length > scratch.length) return Buffer.from(encoded, 'base64').toString()
  return scratch.toString('utf8', 0, scratch.write(encoded, 'base64'))
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !(name in value)) return undefined
  const found: unknown = Reflect.get(value, name)
  return found
}

/** The headers whose values are text, by name; null when they do not fit their room. */
function readHeaders(bytes: Buffer): ReadonlyMap<string, string> | null {
  const headers = new Map<string, string>()
  let at = 0
  while (at < bytes.length) {
    const nameEnd = at + 1 + (bytes[at] ?? 0)
    const name = bytes.toString('utf8', at + 1, nameEnd)
    const type = bytes[nameEnd] ?? valueSizes.length
    at = nameEnd + 1
    let size = valueSizes[type]
    if (size === undefined) return null
    if (size < 0) {
      if (at + 2 > bytes.length) return null
      size = bytes.readUInt16BE(at)
      at += 2
    }
    if (at + size > bytes.length) return null
    if (type === textValue) headers.set(name, bytes.toString('utf8', at, at + size))
    at += size
  }
  return headers
}

/** What an exception or an error frame says, for the operator's log. */
function describeFailure(headers: ReadonlyMap<string, string>, payload: Buffer): string {
  const text = payload.toString()
  const type = headers.get(':exception-type') ?? headers.get(':error-code') ?? 'unknown'
  const message = knownExceptions.has(type)
    ? messageOf(text)
    : (headers.get(':error-message') ?? text)
  return JSON.stringify({ type: 'error', error: { type, message } })
}

function messageOf(text: string): string {
  try {
    const message = fieldOf(JSON.parse(text), 'message')
    return typeof message === 'string' ? message : text
  } catch {
    return text
  }
}

/** CRC-32 of the eight bytes at `at`: too few to be worth a call into native code. */
function sumOfEight(bytes: Buffer, at: number): number {
  let sum = 0xffffffff
  for (let i = at; i < at + 8; i++) {
    sum = (sumTable[(sum ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (sum >>> 8)
  }
  return ~sum >>> 0
}
