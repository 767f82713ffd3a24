/** Which hosts a configuration may name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkHost, type HostRules, isLocalhost } from '../../lib/egress/config.ts'

function refusal(
  url: string | undefined,
  allowLoopback: boolean,
  rules?: HostRules,
): string | null {
  let found: string | null = null
  const report = {
    error: (_: unknown, problem: { expected: string; found?: string }) => {
      found = `${problem.expected}: ${problem.found}`
    },
    warn: () => assert.fail(),
  }
  checkHost(url, ['x'], { allowLoopback }, report, rules)
  return found
}

test('hosts: public, private and named ones pass', () => {
  for (const host of ['example.com', '10.0.0.1', '192.168.1.1', '[fd12::1]', '100.64.0.1', 'db']) {
    assert.equal(refusal(`http://${host}/x`, false), null, host)
  }
})

test('hosts: metadata and link-local ones never pass', () => {
  for (const host of [
    '169.254.169.254',
    '[fd00:ec2::254]',
    '[::ffff:169.254.169.254]',
    '2852039166',
    'metadata.google.internal',
    '169.254.1.1',
  ]) {
    for (const allowLoopback of [false, true]) {
      assert.match(
        refusal(`http://${host}`, allowLoopback) ?? 'passed',
        /^a host that may be connected to: /,
        host,
      )
    }
  }
})

test('hosts: loopback passes only when allowed, and the refusal says how', () => {
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '[::1]',
    'localhost',
    'api.localhost',
    'LOCALHOST.',
  ]) {
    assert.match(
      refusal(`http://${host}:1`, false) ?? 'passed',
      /CLAUDE_GATEWAY_ALLOW_LOOPBACK=1/,
      host,
    )
    assert.equal(refusal(`http://${host}:1`, true), null, host)
  }
})

test('hosts: the name localhost passes where the connection decides', () => {
  assert.equal(refusal('http://localhost:4318', false, { localhostPasses: true }), null)
  assert.notEqual(refusal('http://127.0.0.1:4318', false, { localhostPasses: true }), null)
})

test('hosts: what is no URL was complained about elsewhere', () => {
  assert.equal(refusal(undefined, false), null)
  assert.equal(refusal('nope', false), null)
})

test('hosts: only localhost and names under it are called so', () => {
  for (const name of ['localhost', 'a.localhost', 'localhost.']) assert.ok(isLocalhost(name))
  for (const name of ['mylocalhost', 'localhost.example.com']) assert.ok(!isLocalhost(name))
})
