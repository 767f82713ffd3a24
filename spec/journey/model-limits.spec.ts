/** Who may ask which upstream for which model, as the gateway's lists and its answers say it. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageJson } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const everybodys = await createFakeUpstream()
const vips = await createFakeUpstream()
after(() => Promise.all([everybodys.close(), vips.close()]))
everybodys.always({ body: messageJson('everybody') })
vips.always({ body: messageJson('vip') })

const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    config: {
      upstreams: [
        {
          name: 'all',
          provider: 'anthropic',
          base_url: everybodys.url,
          auth: { api_key: 'k1' },
          models: ['claude-haiku-*'],
        },
        {
          name: 'few',
          provider: 'anthropic',
          base_url: vips.url,
          auth: { api_key: 'k2' },
          groups: ['vip'],
          models: ['claude-opus-5', 'claude-haiku-4-5'],
        },
      ],
      managed: {
        policies: [
          { match: { groups: ['nobody'] }, cli: { availableModels: [] }, desktop: {} },
          { cli: {}, desktop: {} },
        ],
      },
    },
  },
)

const get = (path: string, group: string) =>
  send(`${gateway.url}${path}`, { token: sessionToken(gateway.url, { groups: [group] }) })
const ask = (model: string, group: string) =>
  send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url, { groups: [group] }),
    body: JSON.stringify({ model, max_tokens: 9, messages: [] }),
  })

async function listed(group: string): Promise<string[]> {
  const { data } = JSON.parse((await get('/v1/models', group)).body)
  return data.map(({ id }: { id: string }) => id)
}

async function onDesktop(group: string): Promise<string[]> {
  const reply = await get('/user/bootstrap', group)
  assert.equal(reply.status, 200)
  const models: { name: string }[] = JSON.parse(reply.body).inferenceModels ?? []
  return models.map(({ name }) => name)
}

test('model limits: groups and models of an upstream decide routes, the list and the Desktop list alike (F380)', async () => {
  const haikus = ['claude-haiku-4-5-20251001', 'claude-haiku-5-5']
  assert.deepEqual((await listed('eng')).toSorted(), haikus)
  assert.deepEqual((await onDesktop('eng')).toSorted(), haikus)
  const opus = 'claude-opus-5'
  assert.deepEqual((await listed('vip')).toSorted(), [...haikus, opus])
  assert.deepEqual((await onDesktop('vip')).toSorted(), [...haikus, opus])

  assert.equal((await ask(opus, 'vip')).body, messageJson('vip'))
  assert.equal((await ask(opus, 'eng')).status, 400)
  assert.equal((await ask('claude-haiku-4-5', 'eng')).body, messageJson('everybody'))
  // Only members are sent on to the second upstream when the first cannot.
  everybodys.next({ status: 529, body: '{}' }, { status: 529, body: '{}' })
  assert.equal((await ask('claude-haiku-4-5', 'eng')).status, 502)
  assert.equal((await ask('claude-haiku-4-5', 'vip')).body, messageJson('vip'))
  // Nor for a model that is not on its list.
  everybodys.next({ status: 529, body: '{}' })
  assert.equal((await ask('claude-haiku-5-5', 'vip')).status, 502)
})

test('model limits: an empty list admits no model, and boot says so (F152)', async () => {
  await gateway.line(/ warn .*policy 0 \(groups nobody\): availableModels is empty, so every model/)
  assert.deepEqual(await listed('nobody'), [])
  assert.deepEqual(await onDesktop('nobody'), [])
  const seen = everybodys.requests.length
  for (const model of ['claude-haiku-4-5', 'claude-haiku-5-5', 'haiku']) {
    const reply = await ask(model, 'nobody')
    assert.equal(reply.status, 400)
    assert.match(reply.body, /is not in your role's availableModels allowlist/)
  }
  assert.equal(everybodys.requests.length, seen)
})
