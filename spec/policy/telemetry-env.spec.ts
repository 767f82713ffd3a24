/** The environment that makes clients report here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { telemetryEnv } from '../../lib/policy/telemetry-env.ts'

const off = { metrics: false, logs: false, traces: false }
const publicUrl = 'https://gateway.example'

test('telemetry env: a signal is exported when some destination takes it', () => {
  const env = telemetryEnv(
    {
      forward_to: [
        { ...off, metrics: true },
        { ...off, traces: true },
      ],
      resource_attributes: { team: 'x/y:z@1', dept: '7' },
    },
    publicUrl,
  )
  assert.equal(
    JSON.stringify(env),
    '{"CLAUDE_CODE_ENABLE_TELEMETRY":"1","OTEL_METRICS_EXPORTER":"otlp",' +
      '"OTEL_LOGS_EXPORTER":"none","OTEL_TRACES_EXPORTER":"otlp",' +
      '"OTEL_EXPORTER_OTLP_ENDPOINT":"https://gateway.example",' +
      '"OTEL_EXPORTER_OTLP_PROTOCOL":"http/protobuf",' +
      '"OTEL_RESOURCE_ATTRIBUTES":"team=x/y:z@1,dept=7"}',
  )
})

test('telemetry env: without labels there is no variable for them', () => {
  const env = telemetryEnv({ forward_to: [off], resource_attributes: {} }, publicUrl)
  assert.equal(env?.['OTEL_RESOURCE_ATTRIBUTES'], undefined)
  assert.equal(env?.['OTEL_METRICS_EXPORTER'], 'none')
})

test('telemetry env: nothing is pushed without a destination or an address', () => {
  assert.equal(telemetryEnv(undefined, publicUrl), null)
  assert.equal(telemetryEnv({ forward_to: [], resource_attributes: { a: 'b' } }, publicUrl), null)
  assert.equal(telemetryEnv({ forward_to: [off], resource_attributes: {} }, undefined), null)
})
