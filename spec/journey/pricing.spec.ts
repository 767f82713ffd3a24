/** Prices through the real gateway: what boot says of them, and what the audit line says calls cost. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageEvents, messageJson } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
const broken = await createFakeUpstream()
after(() => Promise.all([upstream.close(), broken.close()]))
const flat = { input: 10, output: 20, cache_read: 1, cache_write: 2 }
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    config: {
      upstreams: [
        { name: 'first', provider: 'anthropic', base_url: broken.url, auth: { api_key: 'a' } },
        { name: 'second', provider: 'anthropic', base_url: upstream.url, auth: { api_key: 'b' } },
      ],
      models: [
        { id: 'house', upstream_model: { first: 'house-1', second: 'house-2' } },
        { id: 'guest', upstream_model: { first: 'guest-1', second: 'guest-2' } },
        { id: 'cheap', upstream_model: { second: 'us.claude-haiku-4-5' } },
      ],
      managed: { policies: [{ cli: {} }] },
      pricing: {
        multiplier: 1.5,
        overrides: [
          { upstream: 'first', model: 'guest', ...flat, input: 1000 },
          { upstream: 'second', model: 'GUEST-2', ...flat },
          { upstream: 'second', model: 'nobody', ...flat },
        ],
      },
      extensions: { prices: [{ model: 'claude-opus-4-8', ...flat, cache_write_1h: 3 }] },
    },
  },
)
const token = sessionToken(gateway.url)

/** The audit line of one call, answered by the second upstream after the first one failed. */
async function call(model: string, body: string | string[] = messageJson('Hello')) {
  broken.next({ status: 500, body: '{}' })
  upstream.next(
    typeof body === 'string' ? { body } : { headers: ['content-type', 'text/event-stream'], body },
  )
  const ask = { model, max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] }
  const stream = typeof body !== 'string'
  const reply = await send(`${gateway.url}/v1/messages`, {
    token,
    body: JSON.stringify({ ...ask, stream }),
  })
  assert.equal(reply.status, 200)
  const requestId = reply.headers['x-request-id']
  return gateway.audit('inference', (line) => line['request_id'] === requestId)
}

/** 1000 tokens in and 500 out, at USD per million, times 1.5. */
const cost = (input: number, output: number): number => ((2 * input + output) * 75) / 1000

test('pricing: boot warns of a mark-up, of a row without use and of a model without a price', async () => {
  await gateway.line(/warn pricing\.multiplier: is above 1/)
  await gateway.line(
    /warn pricing\.overrides\.2\.model: is the price of a model that nobody can ask/,
  )
  await gateway.line(
    /warn extensions\.prices: spend meter has no exact rates for house \(first: house-1, second: house-2\)/,
  )
  assert.ok(!gateway.lines.some((line) => /without effect/.test(line)))
  assert.equal(gateway.lines.filter((line) => /no exact rates/.test(line)).length, 1)
})

test('pricing: a call costs the rates of the upstream that answered', async () => {
  const line = await call('guest')
  assert.equal(line['upstream'], 'second')
  assert.equal(line['cents'], cost(10, 20))
})

test('pricing: a mapped model costs what is sent upstream', async () => {
  assert.equal((await call('cheap'))['cents'], cost(1, 5))
})

test('pricing: an added price takes the place of the list price', async () => {
  assert.equal((await call('claude-opus-4-8'))['cents'], cost(10, 20))
})

test('pricing: a stream costs what a document of the same usage does', async () => {
  const line = await call('claude-sonnet-4-6', messageEvents('Hello'))
  assert.equal(line['cents'], cost(3, 15))
})

test('pricing: a model without a price costs the default and is said once', async () => {
  for (let round = 0; round < 2; round++) {
    assert.equal((await call('house'))['cents'], cost(5, 25))
  }
  const said = gateway.lines.filter((line) => /no exact rates for model 'house-2'/.test(line))
  assert.equal(said.length, 1)
})

test('pricing: clients are told the prices as the last key of their settings (F233)', async () => {
  const reply = await send(`${gateway.url}/managed/settings`, { token })
  // A row counts where its upstream is asked first, and a model must be one that can be asked.
  assert.equal(
    JSON.stringify(JSON.parse(reply.body).settings),
    '{"modelPricing":{"multiplier":1.5,"overrides":{"guest":{"input":1000,"output":20,"cacheRead":1,"cacheWrite":2}}}}',
  )
})
