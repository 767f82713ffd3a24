/** Memory of dead upstreams in the real gateway: with `extensions.upstream_health` and without. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const dead = await createFakeUpstream()
const alive = await createFakeUpstream()
after(() => Promise.all([dead.close(), alive.close()]))
dead.always({ fault: 'reset-before-head' })

const start = (extensions: object): Promise<GatewayProcess> =>
  startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      config: {
        upstreams: [
          { provider: 'anthropic', name: 'dead', base_url: dead.url, auth: { api_key: 'a' } },
          { provider: 'anthropic', name: 'alive', base_url: alive.url, auth: { api_key: 'b' } },
        ],
        extensions,
      },
    },
  )

/** How often the dead upstream is asked by eight requests, each of which must succeed. */
async function askEightTimes({ url }: GatewayProcess): Promise<number> {
  const before = dead.requests.length
  const body = '{"model":"claude-sonnet-4-6","max_tokens":1,"messages":[]}'
  for (let count = 0; count < 8; count++) {
    const reply = await send(`${url}/v1/messages`, { token: sessionToken(url), body })
    assert.equal(reply.status, 200)
  }
  return dead.requests.length - before
}

test('upstream health: with the block a dead upstream costs a few requests, then none for a while (B052)', async () => {
  const gateway = await start({ upstream_health: { failures: 3, open_seconds: 600 } })
  assert.equal(await askEightTimes(gateway), 3)
  await gateway.line(/warn upstream dead failed 3 time\(s\) in a row: passed over for 600s/)
  assert.doesNotMatch(gateway.lines.join('\n'), /upstream_health.*(no effect|not supported)/)
})

test('upstream health: without the block every request asks in the configured order (F157 B052)', async () => {
  assert.equal(await askEightTimes(await start({})), 8)
})
