import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDiscoveryDocument } from '../../lib/identity/discovery-document.ts'
import { createOriginOf } from '../../lib/identity/origin.ts'
import { makeExchange } from '../support/exchange.ts'

test('discovery: the document has the wire’s fields in the wire’s order', async () => {
  const handler = createDiscoveryDocument(createOriginOf('http://localhost:9730', false))
  const reply = await handler(makeExchange())
  assert.equal(reply.status, 200)
  assert.deepEqual(reply.headers, [['Content-Type', 'application/json;charset=utf-8']])
  assert.equal(
    reply.body,
    '{"issuer":"http://localhost:9730",' +
      '"device_authorization_endpoint":"http://localhost:9730/oauth/device_authorization",' +
      '"token_endpoint":"http://localhost:9730/oauth/token",' +
      '"grant_types_supported":["urn:ietf:params:oauth:grant-type:device_code","refresh_token"],' +
      '"response_types_supported":[],' +
      '"token_endpoint_auth_methods_supported":["none"],' +
      '"scopes_supported":["openid","profile","email"],' +
      '"gateway_protocol_version":1}',
  )
  // The recorded answer of this document has 415 bytes.
  assert.equal(typeof reply.body === 'string' && Buffer.byteLength(reply.body), 415)
})

test('discovery: a spoofed host changes nothing', async () => {
  const handler = createDiscoveryDocument(createOriginOf('https://gw.example.com', false))
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example' }
  const reply = await handler(makeExchange({ headers }))
  assert.doesNotMatch(JSON.stringify(reply), /evil/)
})
