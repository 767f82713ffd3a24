import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLandingPage } from '../../lib/page/landing.ts'
import { makeExchange } from '../support/exchange.ts'

const facts = {
  version: '1.2.3',
  public_url: 'https://gw.example.com',
  issuer: 'https://login.example.com/tenant',
}

test('landing page: it shows version, address, where people sign in, and where clients start', async () => {
  const { status, body } = await createLandingPage(facts)(makeExchange())
  assert.equal(status, 200)
  assert.ok(typeof body === 'string')
  assert.match(body, /1\.2\.3/)
  assert.match(body, /https:\/\/gw\.example\.com/)
  assert.match(body, /<code>login\.example\.com<\/code>/)
  assert.match(body, /href="\/\.well-known\/oauth-authorization-server"/)
  assert.match(body, /href="\/protocol"/)
})

test('landing page: its headers are the wire’s, in the wire’s order', async () => {
  const { headers } = await createLandingPage(facts)(makeExchange())
  assert.deepEqual(headers, [
    ['Content-Type', 'text/html; charset=utf-8'],
    [
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    ],
    ['Cache-Control', 'no-store'],
  ])
})

test('landing page: what is not configured is not shown', async () => {
  const bare = { version: '1', public_url: undefined, issuer: undefined }
  const { body } = await createLandingPage(bare)(makeExchange())
  assert.ok(typeof body === 'string')
  assert.doesNotMatch(body, /undefined|People sign in at/)
})
