/** When the way to the provider differs from what the environment suggests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { warnAboutProxy } from '../../lib/identity/proxy-check.ts'
import type { Environment } from '../../lib/kernel/report.ts'

function warnings(
  use_proxy: boolean | undefined,
  environment: Environment,
  issuer = 'https://login.corp.example.com',
): readonly string[] {
  const said: string[] = []
  const report = {
    error: () => assert.fail(),
    warn: (path: readonly unknown[], text: string) => void said.push(`${path.join('.')} ${text}`),
  }
  const facts = {
    environment,
    allowLoopback: false,
    now: 0,
    isSet: () => use_proxy !== undefined,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  warnAboutProxy({ issuer, use_proxy }, facts, report)
  return said
}

const proxy = { HTTPS_PROXY: 'http://proxy.example.com:3128' }

test('proxy: without variable and key there is nothing to say', () => {
  assert.deepEqual(warnings(undefined, {}), [])
  assert.deepEqual(warnings(false, {}), [])
})

test('proxy: asked for without a variable, the provider is reached directly', () => {
  assert.match(warnings(true, {}).join(), /^oidc\.use_proxy is on, but HTTPS_PROXY/)
  assert.match(warnings(true, { HTTPS_PROXY: '' }).join(), /^oidc\.use_proxy/)
  assert.deepEqual(warnings(true, proxy), [])
})

test('proxy: a variable alone does not send the provider through it, and false silences that', () => {
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']) {
    assert.match(
      warnings(undefined, { [name]: 'http://p' }).join(),
      new RegExp(`^oidc\\.issuer is reached directly although ${name} is set`),
    )
  }
  assert.deepEqual(warnings(false, proxy), [])
})

test('proxy: hosts that are exempt are no surprise', () => {
  for (const list of [
    'login.corp.example.com',
    '.example.com',
    'x, corp.example.com',
    '*',
    '*.example.com',
  ]) {
    assert.deepEqual(warnings(undefined, { ...proxy, NO_PROXY: list }), [], list)
  }
  for (const list of ['', 'other.com', 'ample.com', 'login.corp.example.com.evil.com']) {
    assert.equal(warnings(undefined, { ...proxy, NO_PROXY: list }).length, 1, list)
  }
})

test('proxy: one that is the boundary is gone through without being asked for', () => {
  const only = { ...proxy, CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY: '1' }
  assert.deepEqual(warnings(undefined, only), [])
  assert.equal(warnings(undefined, { ...only, NO_PROXY: 'other.com' }).length, 1)
})
