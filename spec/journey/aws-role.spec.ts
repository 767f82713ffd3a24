/** A role assumed for each developer, from the configuration to the trail of AWS. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeSts, ownKeys, refusal } from '../support/fake-sts.ts'
import { createFakeUpstream, messageCosting } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { verifySignature } from '../support/sigv4.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const bedrock = await createFakeUpstream()
const fallback = await createFakeUpstream()
const sts = await createFakeSts()
after(() => Promise.all([bedrock.close(), fallback.close(), sts.close()]))
// With its usage: an answer without one is counted at its upstream, by requests of the gateway.
bedrock.always({ body: messageCosting(0) })
fallback.always({ body: '{"type":"message","from":"fallback"}' })
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    environment: { AWS_ENDPOINT_URL_STS: sts.url },
    config: {
      upstreams: [
        {
          provider: 'bedrock',
          region: 'us-east-1',
          base_url: bedrock.url,
          auth: ownKeys,
          headers: { 'x-own': 'bedrock' },
          assume_role: { role_arn: 'arn:aws:iam::1:role/r', session_name: 'email' },
        },
        { provider: 'anthropic', base_url: fallback.url, auth: { api_key: 'k' } },
      ],
    },
  },
)
const body = JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 1, messages: [] })
const post = () => send(`${gateway.url}/v1/messages`, { token: sessionToken(gateway.url), body })

test('role: while STS refuses, the next upstream answers and nothing is signed', async () => {
  sts.next(refusal('AccessDenied'))
  assert.match((await post()).body, /fallback/)
  assert.equal(bedrock.requests.length, 0)
  await gateway.line(/trying next .*: bedrock: STS refused the role: 403 AccessDenied/)
  // A broken source is not asked by every request.
  await new Promise((resolve) => setTimeout(resolve, 1100))
})

test('role: requests are signed with the session of their developer, one call for many', async () => {
  await Promise.all(Array.from({ length: 10 }, post))
  assert.equal(bedrock.requests.length, 10)
  assert.deepEqual(
    sts.calls.map((call) => call.get('RoleSessionName')),
    ['alice@example.com'],
  )
  for (const request of bedrock.requests) {
    const found = verifySignature(request, 'secret-1')
    assert.equal(found.accessKeyId, 'ASIA1')
    assert.equal(found.matches, true)
  }
})

test('role: headers of the configuration go with messages, not to STS (F199)', async () => {
  assert.equal((await post()).status, 200)
  assert.equal(bedrock.requests.at(-1)?.headers['x-own'], 'bedrock')
  assert.ok(sts.requests.length > 0)
  assert.ok(sts.requests.every(({ headers }) => headers['x-own'] === undefined))
})
