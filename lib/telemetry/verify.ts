/**
 * `extensions.telemetry.verify_identity`: what a client says of its person is replaced by what the
 * session says, so that a patched client cannot report as somebody else. Asked by `relay.ts` for
 * each report. A report that cannot be read is not passed on.
 */
import { promisify } from 'node:util'
import { unzip } from 'node:zlib'
import type { Caller } from '../kernel/caller.ts'
import type { DestinationDeps, Export } from './destination.ts'
import { createLossNotice } from './loss-notice.ts'
import { stampJson } from './otlp-json.ts'
import { type Protobuf, stampProtobuf } from './otlp-protobuf.ts'
import { personOf } from './person.ts'

/**
 * Longest report, unpacked: what collectors take by default in one message, and some tens of
 * milliseconds of work that no other request is served in.
 */
export const reportBytesMax: number = 4 * 1024 * 1024

const unpack = promisify(unzip)

/** Resolves with the report as it may leave, or null when it may not; never rejects. */
export type Verify = (report: Export, caller: Caller) => Promise<Export | null>

export function createVerifier({ clock, log }: Pick<DestinationDeps, 'clock' | 'log'>): Verify {
  let protobuf: Promise<Protobuf> | null = null
  let lastReason = ''
  const refuse = createLossNotice(clock, (count) =>
    log.warn(
      `telemetry relay: dropped ${count} report(s) that could not be read, the last for: ` +
        `${lastReason} (extensions.telemetry.verify_identity)`,
    ),
  )
  const stamp = async (report: Export, body: Uint8Array, caller: Caller): Promise<Uint8Array> => {
    const person = personOf(caller)
    switch (mediaTypeOf(report.contentType)) {
      case 'application/json':
        return Buffer.from(stampJson(Buffer.from(body).toString(), person))
      case 'application/x-protobuf':
        protobuf ??= import('protobufjs/minimal.js').then((loaded) => loaded.default)
        return stampProtobuf(await protobuf, report.signal, body, person)
      default:
        throw new TypeError('neither protobuf nor JSON')
    }
  }
  return async (report, caller) => {
    try {
      const plain = await decode(report)
      if (plain.length > reportBytesMax) throw new RangeError(`above ${reportBytesMax} bytes`)
      const body = await stamp(report, plain, caller)
      return { ...report, body, contentEncoding: undefined }
    } catch (error) {
      // What a parser says of JSON quotes it, and a report is the developer's.
      const quotes = error instanceof SyntaxError || !(error instanceof Error)
      lastReason = quotes ? 'not JSON' : error.message
      refuse()
      return null
    }
  }
}

function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}

/** OTLP/HTTP exporters pack with gzip or not at all. */
async function decode({ body, contentEncoding = 'identity' }: Export): Promise<Uint8Array> {
  switch (contentEncoding.trim().toLowerCase()) {
    case 'identity':
      return body
    case 'gzip':
    case 'deflate':
      return unpack(body, { maxOutputLength: reportBytesMax })
    default:
      throw new TypeError('an unknown content coding')
  }
}
