/**
 * `admin.billing_group_tag` through the real gateway: whom a call is billed to is audited, and no
 * provider sees the tag that said so.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientReply, send } from '../support/client.ts'
import { providerNames, startEveryProvider } from '../support/every-provider.ts'
import { createFakeUpstream, messageJson } from '../support/fake-upstream.ts'
import { sessionToken } from '../support/session-token.ts'

const beta = 'request-tags-2026-08-21'
const counted = JSON.stringify({ input_tokens: 42, inputTokens: 42 })
const webhook = await createFakeUpstream()
after(() => webhook.close())
webhook.always({ body: '{"block":false}' })

const { gateway, server } = await startEveryProvider(after, {
  admin: { billing_group_tag: 'project' },
})

const request = (tags = ''): string =>
  `{ "model":"claude-haiku-4-5-20251001", "max_tokens" : 9.0,"messages":[{"role":"user","content":"\\u0041"}]${tags}, "stream":false }`
const tagged = request(', "tags":{"project":"eng","other":"x"}')

interface Sent {
  readonly provider: string
  readonly body?: string
  readonly path?: string
  readonly betas?: string
}

async function post({ provider, body = tagged, path = '', betas }: Sent) {
  const token = sessionToken(gateway.url, { groups: [provider, 'eng'] })
  const headers = betas === undefined ? {} : { 'anthropic-beta': betas }
  const reply = await send(`${gateway.url}/v1/messages${path}`, { token, body, headers })
  return { reply, line: await auditOf(reply) }
}

const auditOf = ({ headers }: ClientReply): Promise<Record<string, unknown>> =>
  gateway.audit('inference', (line) => line['request_id'] === headers['x-request-id'])

/** What a provider was sent, its base64 of a whole body included. */
function textOf(provider: string, from: number): string {
  const requests = server(provider).requests.slice(from)
  assert.ok(requests.length > 0, provider)
  return requests
    .map(({ rawHeaders, body }) => {
      const text = body.toString()
      const inner = /"body":"([\w+/=]+)"/.exec(text)?.[1] ?? ''
      return `${rawHeaders.join('\n')}\n${text}\n${Buffer.from(inner, 'base64').toString()}`
    })
    .join('\n')
}

for (const provider of providerNames) {
  test(`billing group: ${provider} is sent neither tags nor their beta, in messages, counts and the gateway's own count (F387)`, async () => {
    const upstream = server(provider)
    const from = upstream.requests.length
    upstream.always(({ url }) => ({
      body: /count[-_]tokens/.test(url) ? counted : '{"type":"message","content":[]}',
    }))
    const betas = `a-1, ${beta},b-2`
    const { reply, line } = await post({ provider, betas })
    assert.equal(reply.status, 200)
    assert.equal(line['billing_group'], 'eng')
    // The answer had no usage, so its upstream was asked to count.
    assert.equal(line['input_tokens'], 42)
    assert.equal(upstream.requests.length, from + 2)
    const count = await post({ provider, betas, path: '/count_tokens' })
    assert.equal(count.reply.status, 200)
    assert.equal('billing_group' in count.line, false)
    const sent = textOf(provider, from)
    assert.doesNotMatch(sent, /tags|project/)
    assert.match(sent, /a-1/)
    assert.match(sent, /b-2/)
  })
}

test('billing group: the audit has it between the ids of the upstream and the status (F387)', async () => {
  server('anthropic').next({ body: messageJson('Hello') })
  const { line } = await post({ provider: 'anthropic' })
  const keys = Object.keys(line)
  const at = keys.indexOf('billing_group')
  assert.deepEqual(keys.slice(at - 1, at + 2), [
    'upstream_cloud_request_id',
    'billing_group',
    'status',
  ])
})

test('billing group: of a tagged body every other byte arrives, an untagged one is the client’s own (F387)', async () => {
  const upstream = server('anthropic')
  upstream.always({ body: messageJson('Hello') })
  for (const [body, betas, expected] of [
    [tagged, beta, undefined],
    [request(), 'a , b', 'a , b'],
    [request(), `a,${beta}, b`, 'a,b'],
    [request(), undefined, undefined],
  ] as const) {
    await post({ provider: 'anthropic', body, ...(betas === undefined ? {} : { betas }) })
    const sent = upstream.requests.at(-1)
    assert.equal(sent?.body.toString(), request())
    assert.equal(sent.headers['anthropic-beta'], expected)
  }
})

test('billing group: a group that is not the caller’s is ignored, said so, and not quoted (F387)', async () => {
  const { reply, line } = await post({
    provider: 'anthropic',
    body: request(',"tags":{"project":"finance"}'),
  })
  assert.equal(reply.status, 200)
  assert.equal(line['billing_group_ignored'], true)
  assert.doesNotMatch(JSON.stringify(line), /finance/)
  const plain = await post({ provider: 'anthropic', body: request(',"tags":{"other":"eng"}') })
  assert.doesNotMatch(JSON.stringify(plain.line), /billing/)
})

test('billing group: a call that is refused has it too, and two tags are none (F387)', async () => {
  const unknown = tagged.replace('claude-haiku-4-5-20251001', 'nobodys-model')
  const { reply, line } = await post({ provider: 'anthropic', body: unknown })
  assert.equal(reply.status, 400)
  assert.equal(line['billing_group'], 'eng')
  const twice = request(', "tags":{"project":"eng"},"t\\u0061gs":{"project":"anthropic"}')
  const refused = await post({ provider: 'anthropic', body: twice })
  assert.equal(refused.reply.status, 400)
  assert.match(refused.reply.body, /duplicate key: tags/)
  assert.equal('billing_group' in refused.line, false)
})

/** A policy webhook, put in the file beside the tag. */
const judged = {
  cri: {
    enabled: true,
    audience: ['a'],
    org_allowlist: ['11111111-1111-4111-8111-111111111111'],
    policy: { webhook: { url: webhook.url } },
  },
}

test('billing group: another tag, or none, is in force as soon as the file says so (F387)', async () => {
  const upstream = server('anthropic')
  upstream.always({ body: messageJson('Hello') })
  gateway.reconfigure({ admin: { billing_group_tag: 'team' }, ...judged })
  gateway.kill('SIGHUP')
  const body = request(',"tags":{"team":"eng","project":"anthropic"}')
  const until = async (accepts: (line: Record<string, unknown>) => boolean) => {
    for (let turn = 0; turn < 500; turn++) {
      const { line } = await post({ provider: 'anthropic', body, betas: beta })
      if (accepts(line)) return
      await sleep(20)
    }
    assert.fail(gateway.lines.slice(-5).join('\n'))
  }
  await until((line) => line['billing_group'] === 'eng')
  // The policy webhook is another party: it judges what the provider will read.
  assert.doesNotMatch(String(webhook.requests.at(-1)?.body), /tags/)
  gateway.reconfigure({ admin: {}, cri: null })
  gateway.kill('SIGHUP')
  await until((line) => !('billing_group' in line))
  const sent = upstream.requests.at(-1)
  assert.equal(sent?.body.toString(), body)
  assert.equal(sent.headers['anthropic-beta'], beta)
})
