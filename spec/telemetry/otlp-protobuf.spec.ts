/** Identities in protobuf reports, held against a schema-driven reader of the same messages. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs/minimal.js'
import { stampProtobuf } from '../../lib/telemetry/otlp-protobuf.ts'
import { personOf } from '../../lib/telemetry/person.ts'
import { alice } from '../support/ask.ts'
import { attribute, decode, encode } from './otlp-schema.ts'

const person = personOf(alice)
const own = [
  attribute('user.id', 'u-alice'),
  attribute('user.email', 'alice@example.com'),
  attribute('user.groups', 'eng'),
]
const forged = attribute('user.id', 'mallory')
const real = attribute('user.id', 'u-alice')
const other = attribute('model', 'claude')
const stamp = (signal: 'metrics' | 'logs' | 'traces', bytes: Uint8Array): Uint8Array =>
  stampProtobuf(protobuf, signal, bytes, person)

test('otlp protobuf: identities are replaced in every place that metrics have for attributes', () => {
  const exemplars = (list: object[]) => [
    { timeUnixNano: '1', asDouble: 1.5, filteredAttributes: list },
  ]
  const report = (list: object[], resource: object[]) => ({
    resourceMetrics: [
      {
        resource: { attributes: resource, droppedAttributesCount: 2 },
        scopeMetrics: [
          {
            scope: { name: 's', version: '1', attributes: list },
            metrics: [
              {
                name: 'g',
                metadata: list,
                gauge: {
                  dataPoints: [
                    {
                      timeUnixNano: '3',
                      asDouble: 1,
                      attributes: list,
                      exemplars: exemplars(list),
                    },
                  ],
                },
              },
              {
                name: 's',
                unit: 'tokens',
                sum: {
                  aggregationTemporality: 1,
                  isMonotonic: true,
                  dataPoints: [{ asInt: '9007199254740993', attributes: list }],
                },
              },
              {
                name: 'h',
                histogram: {
                  dataPoints: [
                    {
                      count: '3',
                      bucketCounts: ['1', '2'],
                      attributes: list,
                      exemplars: exemplars(list),
                    },
                  ],
                },
              },
              {
                name: 'e',
                exponentialHistogram: {
                  dataPoints: [{ count: '3', attributes: list, exemplars: exemplars(list) }],
                },
              },
              { name: 'q', summary: { dataPoints: [{ count: '3', attributes: list }] } },
            ],
            schemaUrl: 'https://schema',
          },
        ],
        schemaUrl: 'https://schema',
      },
    ],
  })
  const sent = encode('Metrics', report([forged, other], [other, forged]))
  const expected = encode('Metrics', report([other, real], [other, ...own]))
  assert.deepEqual(decode('Metrics', stamp('metrics', sent)), decode('Metrics', expected))
})

test('otlp protobuf: identities are replaced in logs and in spans, their events and links', () => {
  const logs = (list: object[], resource: object[]) => ({
    resourceLogs: [
      {
        resource: { attributes: resource },
        scopeLogs: [
          {
            scope: { attributes: list },
            logRecords: [
              {
                timeUnixNano: '18446744073709551615',
                severityNumber: 9,
                body: { kvlistValue: { values: [forged] } },
                attributes: list,
                traceId: 'AAECAw==',
              },
            ],
          },
        ],
      },
    ],
  })
  assert.deepEqual(
    decode('Logs', stamp('logs', encode('Logs', logs([forged, other], [])))),
    decode('Logs', encode('Logs', logs([other, real], own))),
    'what a record says in its text is left alone',
  )
  const traces = (list: object[], resource: object[]) => ({
    resourceSpans: [
      {
        resource: { attributes: resource },
        scopeSpans: [
          {
            spans: [
              {
                name: 'a',
                attributes: list,
                events: [{ name: 'e', attributes: list }],
                links: [{ traceId: 'AAE=', attributes: list }],
                later: 'a field of a later version',
              },
            ],
          },
        ],
      },
    ],
  })
  assert.deepEqual(
    decode('Traces', stamp('traces', encode('Traces', traces([forged, other], [])))),
    decode('Traces', encode('Traces', traces([other, real], own))),
  )
})

test('otlp protobuf: a report without a resource gets one, each one its own', () => {
  const bytes = encode('Metrics', { resourceMetrics: [{ scopeMetrics: [] }, {}] })
  assert.deepEqual(decode('Metrics', stamp('metrics', bytes)), {
    resourceMetrics: [{ resource: { attributes: own } }, { resource: { attributes: own } }],
  })
  assert.equal(stamp('logs', new Uint8Array(0)).length, 0)
})

test('otlp protobuf: a name the session has nothing for is taken away', () => {
  const nobody = personOf({ ...alice, email: undefined, groups: [] })
  const attributes = [
    attribute('user.email', 'boss@example.com'),
    attribute('user.groups', 'admins'),
  ]
  const bytes = encode('Logs', { resourceLogs: [{ resource: { attributes } }] })
  assert.deepEqual(decode('Logs', stampProtobuf(protobuf, 'logs', bytes, nobody)), {
    resourceLogs: [{ resource: { attributes: [real] } }],
  })
})

test('otlp protobuf: repeated claims and odd encodings do not get past it', () => {
  const { Writer } = protobuf
  // The key twice, the last one counting; and one behind the value.
  const keyTwice = Writer.create().uint32(10).string('x').uint32(10).string('user.id').finish()
  const keyLast = Writer.create()
    .uint32(18)
    .bytes(new Uint8Array(0))
    .uint32(10)
    .string('user_id')
    .finish()
  const attributes = Writer.create().uint32(10).bytes(keyTwice).uint32(10).bytes(keyLast).finish()
  // Two resources in one message, which readers merge.
  const entry = Writer.create().uint32(10).bytes(attributes).uint32(10).bytes(attributes).finish()
  const bytes = Writer.create().uint32(10).bytes(entry).finish()
  const result = Buffer.from(stamp('logs', bytes))
  assert.equal(result.includes('user_id'), false)
  assert.deepEqual(decode('Logs', result), {
    resourceLogs: [{ resource: { attributes: [...own, ...own] } }],
  })
})

test('otlp protobuf: what is none throws', () => {
  const whole = encode('Logs', { resourceLogs: [{ resource: { attributes: [forged] } }] })
  for (const bytes of [
    whole.subarray(0, whole.length - 1),
    Buffer.from('{"resourceLogs":[]}'),
    Buffer.from([0x0b, 0x0b, 0x0b]),
    Buffer.alloc(100_000, 0x0b),
    Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
  ]) {
    assert.throws(() => stamp('logs', bytes))
  }
})
