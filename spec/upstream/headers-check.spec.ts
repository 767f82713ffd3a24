/** Which headers an operator may add to upstream requests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkHeaders } from '../../lib/upstream/headers-check.ts'
import { loadWith } from '../config/load.ts'

function refusals(headers: Readonly<Record<string, string | undefined>>): readonly string[] {
  const said: string[] = []
  const report = {
    error: (path: readonly unknown[], problem: { expected: string }) =>
      void said.push(`${String(path.at(-1))}: ${problem.expected}`),
    warn: () => assert.fail(),
  }
  checkHeaders(headers, ['headers'], report)
  return said
}

test('headers: ordinary ones pass', () => {
  assert.deepEqual(refusals({ 'X-Team': 'a b', cf_access: '!~', 'X-1': undefined }), [])
})

test('headers: those of the gateway are refused by name, in any case', () => {
  const reserved = [
    'authorization',
    'X-API-Key',
    'Host',
    'content-type',
    'Content-Length',
    'User-Agent',
    'anthropic-beta',
    'Anthropic-Anything',
    'x-goog-user-project',
    'X-Amz-Date',
    'x-amzn-trace-id',
    'Connection',
    'transfer-encoding',
    'TE',
    'proxy-authorization',
    'accept-encoding',
    'Cookie',
    'api-key',
    'x-claude-gateway-user-id',
    'x-litellm-end-user-id',
  ]
  for (const name of reserved) {
    assert.deepEqual(refusals({ [name]: 'x' }), [
      `${name}: a header that the gateway does not set itself (not ${name})`,
    ])
  }
})

test('headers: a name is an HTTP token', () => {
  for (const name of ['X A', '', 'X:A', 'Ü', 'a\nb']) {
    assert.match(refusals({ [name]: 'x' }).join(), /a header name/, name)
  }
})

test('headers: a value is printable ASCII without space at its ends', () => {
  for (const value of ['', ' a', 'a ', 'a\nb', 'a\tb', 'ü', '\u007F']) {
    assert.match(refusals({ 'X-A': value }).join(), /printable ASCII/, JSON.stringify(value))
  }
})

test('headers: every wrong one is reported, and no value is shown', () => {
  const { problems } = loadWith({
    'upstreams.0.headers': { Host: 'hunter2x', 'X A': 'hunter2x', 'X-B': ' hunter2x', 'X-C': 5 },
  })
  assert.equal(problems.length, 4)
  assert.doesNotMatch(problems.join('\n'), /hunter2x/)
})

test('headers: an empty variable is a mistake here', () => {
  const { problems } = loadWith(
    { 'upstreams.0.headers': { 'X-A': '${E}' } },
    { environment: { E: '' } },
  )
  assert.match(
    problems.join(),
    /^upstreams\.0\.headers\.X-A: .*found the value of \$\{E\} \(hidden\)$/,
  )
})
