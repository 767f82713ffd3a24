/** `extensions.audit` and `extensions.metrics`: values and bounds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { operationsExtensionKeys } from '../../lib/audit/config.ts'
import { loadWith } from '../config/load.ts'

const load = (extensions: object) => loadWith({ extensions })

test('operations config: metrics need a port, the rest has defaults', () => {
  assert.deepEqual(Object.keys(operationsExtensionKeys), ['metrics', 'audit'])
  assert.deepEqual(load({ metrics: { port: 9464 } }).config().extensions.metrics, {
    host: '127.0.0.1',
    port: 9464,
    path: '/metrics',
  })
  assert.match(load({ metrics: {} }).problems.join(), /^extensions\.metrics\.port: .*found nothing/)
  assert.match(
    load({ metrics: { port: 1, path: 'metrics' } }).problems.join(),
    /a path that starts with a slash/,
  )
})

test('operations config: the audit file needs a name', () => {
  assert.deepEqual(load({ audit: { file: '/a.log' } }).config().extensions.audit, {
    file: '/a.log',
    sign_interval_seconds: 60,
  })
  assert.match(load({ audit: {} }).problems.join(), /^extensions\.audit\.file: .*found nothing/)
  assert.match(
    load({ audit: { file: '/a', sign_interval_seconds: 0 } }).problems.join(),
    /at least 1/,
  )
})

test('operations config: the other extensions have bounds', () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ upstream_health: { failures: 101 } }, /failures: expected a whole number from 1 to 100/],
    [
      { upstream_health: { open_seconds: 0 } },
      /open_seconds: expected a whole number from 1 to 600/,
    ],
    [{ upstreams: { anthropic: { upstream_ttfb_ms: 99 } } }, /from 100 to 3600000/],
    [{ telemetry: { queue_bytes: 1 } }, /from 1048576 to 1073741824/],
    [{ telemetry: { retry_seconds: 3601 } }, /from 1 to 3600/],
    [{ prices: [{ model: 'm', input: 0 }] }, /prices\.0\.input: expected a number greater than 0/],
    [{ spend: { reserve: 'yes' } }, /spend\.reserve: expected true or false/],
    [{ settings: { allow: [''] } }, /settings\.allow\.0/],
  ]
  for (const [extensions, pattern] of cases) assert.match(load(extensions).problems.join(), pattern)
})

test('operations config: defaults of the extensions change nothing', () => {
  assert.deepEqual(load({}).config().extensions, loadWith({}).config().extensions)
})
