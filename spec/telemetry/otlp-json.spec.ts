/** Identities in JSON reports. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stampJson } from '../../lib/telemetry/otlp-json.ts'
import { personOf } from '../../lib/telemetry/person.ts'
import { alice } from '../support/ask.ts'
import { attribute } from './otlp-schema.ts'

const own = [
  attribute('user.id', 'u-alice'),
  attribute('user.email', 'alice@example.com'),
  attribute('user.groups', 'eng'),
]
const forged = attribute('user.id', 'mallory')
const real = attribute('user.id', 'u-alice')
const other = attribute('model', 'claude')
const stamp = (report: object, person = personOf(alice)): unknown =>
  JSON.parse(stampJson(JSON.stringify(report), person))

test('otlp json: identities are replaced wherever attributes stand', () => {
  const report = (list: object[], resource: object[]) => ({
    resourceMetrics: [
      {
        resource: { attributes: resource },
        scopeMetrics: [
          {
            scope: { name: 's', attributes: list },
            metrics: [
              {
                name: 'm',
                sum: {
                  dataPoints: [
                    {
                      asInt: '9007199254740993',
                      asDouble: 0.1,
                      attributes: list,
                      exemplars: [{ filteredAttributes: list }],
                    },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
  })
  assert.deepEqual(
    stamp(report([forged, other], [forged, other])),
    report([other, real], [other, ...own]),
  )
})

test('otlp json: a report without a resource gets one, in both spellings of its fields', () => {
  for (const name of ['resourceLogs', 'resource_logs', 'resourceSpans', 'resourceMetrics']) {
    assert.deepEqual(stamp({ [name]: [{}, { resource: {} }] }), {
      [name]: [{ resource: { attributes: own } }, { resource: { attributes: own } }],
    })
  }
})

test('otlp json: spellings that lenient readers take do not get past it', () => {
  const claims = [
    { Key: 'user.id', value: { stringValue: 'mallory' } },
    { key: 'x', KEY: 'user_id', value: { stringValue: 'mallory' } },
  ]
  const text = JSON.stringify(
    stamp({
      resource_metrics: [
        {
          resource: { Attributes: claims },
          scope_metrics: [{ metrics: [{ sum: { data_points: [{ attributes: claims }] } }] }],
        },
      ],
    }),
  )
  assert.doesNotMatch(text, /mallory/)
  const twice = stampJson(
    '{"resourceLogs":[],"resourceLogs":[{"resource":{"attributes":[{"key":"user.id","value":{"stringValue":"mallory"}}]}}]}',
    personOf(alice),
  )
  assert.doesNotMatch(twice, /mallory/)
})

test('otlp json: a name the session has nothing for is taken away', () => {
  const nobody = personOf({ ...alice, email: undefined, groups: [] })
  const list = [attribute('user.email', 'boss@example.com'), attribute('user.groups', 'admins')]
  assert.deepEqual(stamp({ resourceLogs: [{ resource: { attributes: list } }] }, nobody), {
    resourceLogs: [{ resource: { attributes: [real] } }],
  })
})

test('otlp json: what is no report throws', () => {
  for (const text of ['', '[]', 'null', '"x"', '{', `{"a":${'['.repeat(70)}${']'.repeat(70)}}`]) {
    assert.throws(() => stampJson(text, personOf(alice)), text)
  }
})
