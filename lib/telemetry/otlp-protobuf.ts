/**
 * Puts the session's identity into an OTLP report in protobuf. Only attribute lists are read: every
 * other byte, fields of later versions included, is copied as it came. Called by `verify.ts`.
 */
import type { Reader, Writer } from 'protobufjs'
import type { Signal } from './destination.ts'
import { identityName, type Person, stampedNames } from './person.ts'

/** The two classes of protobufjs; passed in because the package is loaded only when it is used. */
export interface Protobuf {
  readonly Reader: typeof Reader
  readonly Writer: typeof Writer
}

/** Where attributes stand in a message: its own field of them, and its fields with more inside. */
interface Shape {
  readonly attributes?: number
  readonly inside?: Readonly<Record<number, Shape>>
  /** Field of the resource that a message of this kind must have. */
  readonly resource?: number
}

// Field numbers of opentelemetry-proto 1.x (trace.proto, logs.proto, metrics.proto).
const exemplar: Shape = { attributes: 7 }
const scope: Shape = { attributes: 3 }
const resource: Shape = { attributes: 1 }
const points = (attributes: number, exemplars?: number): Shape => ({
  inside: {
    1: { attributes, ...(exemplars === undefined ? {} : { inside: { [exemplars]: exemplar } }) },
  },
})
const metric: Shape = {
  attributes: 12,
  inside: {
    5: points(7, 5), // gauge
    7: points(7, 5), // sum
    9: points(9, 8), // histogram
    10: points(1, 11), // exponential histogram
    11: points(7), // summary
  },
}
const span: Shape = { attributes: 9, inside: { 11: { attributes: 3 }, 13: { attributes: 4 } } }
const logRecord: Shape = { attributes: 6 }

const report = (record: Shape): Shape => ({
  inside: { 1: { resource: 1, inside: { 1: resource, 2: { inside: { 1: scope, 2: record } } } } },
})

const reports: Readonly<Record<Signal, Shape>> = {
  metrics: report(metric),
  logs: report(logRecord),
  traces: report(span),
}

/** Wire type of strings and messages. */
const delimited = 2

/** The report with the person's attributes. Throws when the bytes are no protobuf. */
export function stampProtobuf(
  { Reader, Writer }: Protobuf,
  signal: Signal,
  body: Uint8Array,
  person: Person,
): Uint8Array {
  const attribute = (name: string, value: string): Uint8Array => {
    // KeyValue { key = 1, value = 2: AnyValue { string_value = 1 } }
    const text = Writer.create().uint32(10).string(value).finish()
    return Writer.create().uint32(10).string(name).uint32(18).bytes(text).finish()
  }
  const field = (number: number, bytes: Uint8Array): Uint8Array =>
    Writer.create()
      .uint32((number << 3) | delimited)
      .bytes(bytes)
      .finish()
  /** The names of `person` in an attribute list; a resource gets all that are stamped. */
  const stamps = (shape: Shape, found: ReadonlySet<string>): Uint8Array[] => {
    const number = shape.attributes
    if (number === undefined) return []
    const names = new Set(shape === resource ? [...found, ...stampedNames] : found)
    return [...names].flatMap((name) => {
      const value = person.get(name)
      return value === undefined || value === null ? [] : [field(number, attribute(name, value))]
    })
  }
  const rewrite = (bytes: Uint8Array, shape: Shape): Uint8Array => {
    const reader = Reader.create(bytes)
    const parts: Uint8Array[] = []
    const found = new Set<string>()
    let copied = 0
    let hasResource = false
    while (reader.pos < reader.len) {
      const start = reader.pos
      const tag = reader.uint32()
      const number = tag >>> 3
      const inner = shape.inside?.[number]
      const isList = number === shape.attributes
      if ((tag & 7) !== delimited || (inner === undefined && !isList)) {
        reader.skipType(tag & 7)
        continue
      }
      const value = reader.bytes()
      if (number === shape.resource) hasResource = true
      if (isList) {
        const name = identityName(readKey(Reader, value))
        if (name === undefined) continue
        found.add(name)
        parts.push(bytes.subarray(copied, start))
      } else if (inner !== undefined) {
        parts.push(bytes.subarray(copied, start), field(number, rewrite(value, inner)))
      }
      copied = reader.pos
    }
    parts.push(bytes.subarray(copied), ...stamps(shape, found))
    if (shape.resource !== undefined && !hasResource) {
      parts.push(field(shape.resource, rewrite(new Uint8Array(0), resource)))
    }
    return Buffer.concat(parts)
  }
  return rewrite(body, reports[signal])
}

/** The key of a KeyValue; of several the last, as every reader of protobuf takes it. */
function readKey(reading: Protobuf['Reader'], bytes: Uint8Array): string {
  const reader = reading.create(bytes)
  let key = ''
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag >>> 3 === 1 && (tag & 7) === delimited) key = reader.string()
    else reader.skipType(tag & 7)
  }
  return key
}
