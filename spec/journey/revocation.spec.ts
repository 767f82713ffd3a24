/** Revocation over two real replicas that share one database. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { freePort, type GatewayOptions, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
/** One address for both, as behind a load balancer; each listens on a port of its own. */
const publicUrl = 'http://gateway.example.com'
const options = (port: number): GatewayOptions => ({
  postgresUrl: database.url,
  issuer: provider.issuer,
  upstream: 'http://127.0.0.1:9',
  config: { listen: { host: '127.0.0.1', port, public_url: publicUrl } },
})
const [portA, portB] = [await freePort(), await freePort()]
const [first, second] = await Promise.all([
  startGateway({ after }, options(portA)),
  startGateway({ after }, options(portB)),
])
const models = (port: number, token: string) =>
  send(`http://127.0.0.1:${port}/v1/models`, { token })
const revoke = (port: number, body: string) =>
  send(`http://127.0.0.1:${port}/oauth/revoke`, {
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

test('revocation: discovery names the endpoint', async () => {
  const reply = await send(`http://127.0.0.1:${portA}/.well-known/oauth-authorization-server`)
  assert.equal(JSON.parse(reply.body).revocation_endpoint, `${publicUrl}/oauth/revoke`)
})

test('revocation: a revoked session is refused at once here and within a second elsewhere', async () => {
  const token = sessionToken(publicUrl, { jti: 'one' })
  assert.equal((await models(portA, token)).status, 200)
  assert.equal((await models(portB, token)).status, 200)
  const startedAt = performance.now()
  assert.equal((await revoke(portA, `token=${token}`)).status, 200)
  const here = await models(portA, token)
  assert.equal(here.status, 401)
  assert.equal(here.headers['x-should-retry'], 'false')
  while ((await models(portB, token)).status !== 401) {
    assert.ok(performance.now() - startedAt < 10_000, 'the other replica never heard of it')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  // One second is the promise; the rest is for a busy machine.
  assert.ok(performance.now() - startedAt < 3000)
  const other = sessionToken(publicUrl, { jti: 'two' })
  assert.equal((await models(portA, other)).status, 200)
})

test('revocation: it outlives a restart', async (t) => {
  const token = sessionToken(publicUrl, { jti: 'three' })
  assert.equal((await revoke(portA, `token=${token}`)).status, 200)
  const port = await freePort()
  await startGateway(t, options(port))
  assert.equal((await models(port, token)).status, 401)
})

test('revocation: what is no session of ours is accepted and changes nothing', async () => {
  assert.equal((await revoke(portA, 'token=garbage')).status, 200)
  assert.equal((await revoke(portA, 'other=1')).status, 400)
  const rows = await database.query("select count(*)::int as n from kv where key like 'revoked:%'")
  assert.deepEqual(rows, [{ n: 2 }])
  assert.ok(first.pid !== second.pid)
})
