/** What counting tokens costs the database: nothing, whoever asks. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { send } from '../support/client.ts'
import { startServer } from '../support/database.ts'
import { createFakeUpstream, messageJson } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const statements: string[] = []
const server = await startServer(
  { after },
  {
    settings: { log_statement: 'all' },
    serverLog: (line) => {
      const [, text] = /(?:statement|execute [^:]*): (.*)/.exec(line) ?? []
      if (text !== undefined) statements.push(text)
    },
  },
)
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
upstream.always(({ url }) => ({
  body: url.includes('count_tokens') ? '{"input_tokens":7}' : messageJson('hi'),
}))
const gateway = await startGateway(
  { after },
  {
    postgresUrl: server.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { admin: {} },
  },
)
const body = '{"model":"claude-haiku-4-5","max_tokens":1,"messages":[]}'

/** Every call by somebody else, so that nothing known of a caller can help. */
let people = 0
const call = (path: string) =>
  send(`${gateway.url}${path}`, {
    token: sessionToken(gateway.url, { sub: `u-${++people}` }),
    body,
  })

/** Statements beside those that run by themselves, at an interval, whether anybody calls or not. */
async function during(work: () => Promise<void>): Promise<number> {
  await sleep(300)
  const from = statements.length
  const startedAt = performance.now()
  await work()
  await sleep(300)
  const seen = statements.length - from
  const idleFrom = statements.length
  await sleep(performance.now() - startedAt)
  return seen - (statements.length - idleFrom)
}

test('count_tokens: three hundred people count, and PostgreSQL hears of none (F145)', async () => {
  const counted = await during(async () => {
    for (let at = 0; at < 300; at++) {
      assert.equal((await call('/v1/messages/count_tokens')).body, '{"input_tokens":7}')
    }
  })
  assert.ok(counted < 30, `${counted} statements: ${statements.slice(-20).join('\n')}`)
  // That messages are heard of shows that a statement would have been seen.
  const spent = await during(async () => {
    for (let at = 0; at < 60; at++) assert.equal((await call('/v1/messages')).status, 200)
  })
  assert.ok(spent > 30, String(spent))
})

test('count_tokens: with PostgreSQL hanging it answers as before (F145)', async () => {
  server.hang()
  try {
    const startedAt = performance.now()
    for (let at = 0; at < 20; at++) {
      assert.equal((await call('/v1/messages/count_tokens')).status, 200)
    }
    // One wait for the database would be above a second.
    assert.ok((performance.now() - startedAt) / 20 < 500)
  } finally {
    server.resume()
  }
})
