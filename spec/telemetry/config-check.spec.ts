/** `telemetry`: which collectors and labels are taken. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkTelemetry } from '../../lib/telemetry/config-check.ts'
import { isFraming } from '../../lib/telemetry/framing.ts'
import { telemetryKeys } from '../../lib/telemetry/config.ts'
import { loadWith } from '../config/load.ts'

const noLoopback = { environment: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: undefined } }
const forwardTo = (url: string) => ({ telemetry: { forward_to: [{ url }] } })
const labels = (resource_attributes: object) => ({
  telemetry: { forward_to: [{ url: 'https://o.example.com' }], resource_attributes },
})
const ofUrl = (lines: readonly string[]): readonly string[] =>
  lines.filter((line) => line.startsWith('telemetry.forward_to.0.url'))

test('telemetry config: a destination has defaults', () => {
  assert.deepEqual(Object.keys(telemetryKeys), ['telemetry'])
  assert.deepEqual(loadWith(forwardTo('https://o.example.com')).config().telemetry, {
    forward_to: [
      { url: 'https://o.example.com', headers: {}, metrics: true, logs: false, traces: false },
    ],
    resource_attributes: {},
  })
})

test('telemetry check: collectors are reached by https, or on loopback', () => {
  for (const url of ['http://otel.example.com', 'nope', 'ftp://x', 'http://10.0.0.1']) {
    assert.match(
      ofUrl(loadWith(forwardTo(url)).problems).join(),
      /expected an https:\/\/ URL, or http/,
      url,
    )
  }
  for (const url of [
    'https://o.example.com',
    'http://127.0.0.1:4318',
    'http://[::1]:1',
    'http://localhost:1',
  ]) {
    assert.deepEqual(loadWith(forwardTo(url)).problems, [], url)
  }
})

test('telemetry check: loopback addresses need leave, the name localhost passes', () => {
  for (const url of ['http://127.0.0.1:4318', 'http://[::1]:4318', 'https://127.0.0.1']) {
    assert.match(
      ofUrl(loadWith(forwardTo(url), noLoopback).problems).join(),
      /ALLOW_LOOPBACK=1/,
      url,
    )
  }
  assert.deepEqual(ofUrl(loadWith(forwardTo('http://localhost:4318'), noLoopback).problems), [])
})

test('telemetry check: metadata addresses never pass', () => {
  assert.match(
    ofUrl(loadWith(forwardTo('https://169.254.169.254')).problems).join(),
    /a metadata address/,
  )
})

test('telemetry check: a query or fragment is warned about', () => {
  for (const url of ['https://o.example.com/x?a=b', 'https://o.example.com/#x']) {
    assert.match(
      ofUrl(loadWith(forwardTo(url)).warnings).join(),
      /the appended path ends up inside it/,
    )
  }
  assert.deepEqual(ofUrl(loadWith(forwardTo('https://u:p@o.example.com/v1')).warnings), [])
})

test('telemetry check: headers are ones HTTP can carry', () => {
  const headers = (values: object) =>
    loadWith({ telemetry: { forward_to: [{ url: 'https://o.example.com', headers: values }] } })
      .problems
  assert.deepEqual(
    headers({ Authorization: 'Bearer x', 'User-Agent': 'ours', 'X-Ü': 'x' }).length,
    1,
  )
  assert.match(headers({ 'a b': 'hunter2x' }).join(), /a header name: .*hidden/)
  assert.match(
    headers({ a: 'hunter2x\r\nb: c' }).join(),
    /a header value on one line, found text of 14/,
  )
  assert.match(headers({ a: 5 }).join(), /expected text, found a number$/)
})

test('telemetry check: labels have a form', () => {
  assert.deepEqual(
    loadWith(labels({ team: 'x/y:z@1', 'cost.center': '42', 'a_b-c': '!~' })).problems,
    [],
  )
  for (const name of ['a b', 'ü', 'x'.repeat(256), 'a/b']) {
    assert.match(loadWith(labels({ [name]: 'x' })).problems.join(), /expected a label name/, name)
  }
  for (const value of [
    '',
    'a b',
    'a,b',
    'a;b',
    'a=b',
    'a\\b',
    'a"b',
    'a%b',
    'ü',
    'x'.repeat(256),
    '/'.repeat(86),
  ]) {
    assert.match(loadWith(labels({ a: value })).problems.join(), /expected printable ASCII/, value)
  }
  assert.deepEqual(loadWith(labels({ a: '/'.repeat(85) })).problems, [])
})

test('telemetry check: labels that say who or what a client is are reserved, in any case', () => {
  for (const name of [
    'user.id',
    'User.Email',
    'enduser.id',
    'identity.source',
    'service.name',
    'SERVICE.VERSION',
    'claude.deployment_mode',
    'host.arch',
    'os.type',
    'os.version',
    'wsl.version',
  ]) {
    const [problem = ''] = loadWith(labels({ [name]: 'x' })).problems
    assert.match(problem, /neither clients nor the gateway set themselves/, name)
    assert.ok(problem.startsWith(`telemetry.resource_attributes."${name}"`))
  }
  assert.deepEqual(loadWith(labels({ user: 'x', 'service.namespace': 'x' })).problems, [])
})

test('telemetry check: what has no effect is warned about', () => {
  assert.match(
    loadWith({ telemetry: { resource_attributes: { a: 'b' } } }).warnings.join(),
    /^telemetry\.resource_attributes: has no effect without forward_to/,
  )
  assert.match(
    loadWith({
      ...forwardTo('https://o.example.com'),
      'listen.public_url': undefined,
    }).warnings.join(),
    /^telemetry\.forward_to: is set without listen\.public_url/,
  )
  assert.deepEqual(loadWith({ telemetry: {} }).warnings, [])
})

test('telemetry check: people without a desktop block are told so once', () => {
  const { warnings } = loadWith(forwardTo('https://o.example.com'))
  assert.match(
    warnings.join(),
    /^telemetry\.forward_to: reaches Claude Code only: no policy has a desktop block/,
  )
})

test('telemetry check: it is quiet about what could not be read', () => {
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  const facts = {
    environment: {},
    allowLoopback: false,
    now: 0,
    isSet: () => true,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  checkTelemetry({}, facts, report)
  checkTelemetry({ forward_to: [undefined, {}] }, facts, report)
})

test('telemetry check: a header that belongs to the connection has no effect, and that is said', () => {
  const headers = { 'Content-Length': '1', 'x-scope': 'a' }
  const loaded = loadWith({
    telemetry: { forward_to: [{ url: 'https://o.example.com', headers }] },
  })
  assert.deepEqual(loaded.problems, [])
  const lines = loaded.warnings.filter((line) => line.includes('forward_to.0.headers'))
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /headers\.Content-Length.*has no effect/)
  assert.ok(isFraming('HOST'))
  assert.ok(!isFraming('x-host'))
})
