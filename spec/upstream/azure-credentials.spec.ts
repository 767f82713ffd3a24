import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createAzureTokens } from '../../lib/upstream/azure-credentials.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'

// The library remembers endpoint and tokens for the whole process: one server for all, the
// refusal first.
const server = await createFakeUpstream()
after(() => server.close())

// What an app service gives its apps, and no other source of credentials.
process.env['IDENTITY_ENDPOINT'] = `${server.url}/msi/token`
process.env['IDENTITY_HEADER'] = 'idh'
process.env['AZURE_TOKEN_CREDENTIALS'] = 'ManagedIdentityCredential'

test('azure credentials: an identity that is refused is a failure with its reason', async () => {
  server.always({ status: 400, body: '{"error":"invalid_request","message":"no identity"}' })
  await assert.rejects(createAzureTokens()(AbortSignal.timeout(20_000)), /ManagedIdentity/)
})

test('azure credentials: a managed identity gives a token for cognitive services', async () => {
  const expiresOn = Math.floor(Date.now() / 1000) + 3600
  const answer = { access_token: 'msi-tok', expires_on: String(expiresOn), token_type: 'Bearer' }
  server.always({ body: JSON.stringify(answer) })
  const token = await createAzureTokens()(AbortSignal.timeout(20_000))
  assert.equal(token.value, 'msi-tok')
  assert.ok(Math.abs(token.expiresAt - expiresOn * 1000) < 60_000, String(token.expiresAt))
  const { url = '', headers } = server.requests.at(-1) ?? {}
  assert.match(url, /^\/msi\/token\?.*resource=https%3A%2F%2Fcognitiveservices\.azure\.com/)
  assert.equal(headers?.['x-identity-header'], 'idh')
})
