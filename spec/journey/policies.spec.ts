/** Policies through the real gateway: what a client and a Claude Desktop are told, by group. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: 'http://127.0.0.1:9',
    config: {
      managed: {
        policies: [
          {
            match: { groups: ['restricted'] },
            cli: { availableModels: ['haiku'], env: { B: '2' } },
            desktop: {},
          },
          { match: { email_domain: 'example.com' }, cli: { env: { A: '1' }, model: 'sonnet' } },
        ],
      },
    },
  },
)
const token = sessionToken(gateway.url)
const get = (path: string, more: object = {}) => send(`${gateway.url}${path}`, { token, ...more })

test('policies: a client gets the settings of its policy, and 304 for what it has', async () => {
  const first = await get('/managed/settings')
  assert.equal(first.status, 200)
  const { checksum, settings } = JSON.parse(first.body)
  assert.deepEqual(settings, { env: { A: '1' }, model: 'sonnet' })
  assert.equal(first.headers['etag'], `"${checksum}"`)
  assert.equal(first.headers['x-cc-gateway-version'], '2.1.330')
  const again = await get('/managed/settings', { headers: { 'if-none-match': `"${checksum}"` } })
  assert.deepEqual([again.status, again.body], [304, ''])
  const line = await gateway.audit('managed.serve')
  assert.deepEqual([line['policy_index'], line['checksum']], [1, checksum])
})

test('policies: any method is answered, a stranger without a session is not', async () => {
  const posted = await get('/managed/settings', { method: 'POST', body: '{}' })
  assert.equal(posted.status, 200)
  const headed = await get('/managed/settings', { method: 'HEAD' })
  assert.deepEqual([headed.status, headed.body], [200, ''])
  const stranger = await send(`${gateway.url}/managed/settings`)
  assert.equal(stranger.status, 401)
  assert.equal(stranger.headers['x-should-retry'], 'false')
})

test('policies: nobody’s policy is 404 with the documented text', async () => {
  const other = sessionToken(gateway.url, { sub: 'u-x', email: 'x@elsewhere.org', groups: [] })
  const reply = await send(`${gateway.url}/managed/settings`, { token: other })
  assert.deepEqual([reply.status, reply.body], [404, 'no policy matched'])
})

test('policies: a Desktop is configured for its person, with the models the person may use', async () => {
  const restricted = sessionToken(gateway.url, { sub: 'u-bob', groups: ['restricted'] })
  const reply = await send(`${gateway.url}/user/bootstrap`, { token: restricted })
  assert.equal(reply.status, 200)
  const body = JSON.parse(reply.body)
  assert.equal(body.inferenceGatewayBaseUrl, gateway.url)
  assert.ok(body.inferenceModels.every(({ name }: { name: string }) => name.includes('haiku')))
  assert.equal(reply.headers['cache-control'], 'no-store')
  const denied = await get('/user/bootstrap')
  assert.equal(denied.status, 404)
  assert.equal((await gateway.audit('desktop_bootstrap.denied'))['reason'], 'policy_not_opted_in')
})
