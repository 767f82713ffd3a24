/**
 * Anthropic's own client library in front of the real gateway, and each provider's server behind
 * it: tools, thinking, an image and a long prompt go up whole, and the library understands what
 * comes down. A caller's group decides which provider it is sent to.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import Anthropic, { APIError } from '@anthropic-ai/sdk'
import { chunkFrame } from '../support/event-frames.ts'
import { providerNames as names, startEveryProvider } from '../support/every-provider.ts'
import type { Behaviour, FakeUpstream } from '../support/fake-upstream.ts'
import { sessionToken } from '../support/session-token.ts'

const model = 'claude-haiku-4-5'

const { gateway, server: serverOf } = await startEveryProvider(after)

function connect(name: string): { readonly client: Anthropic; readonly server: FakeUpstream } {
  const authToken = sessionToken(gateway.url, { groups: [name] })
  // A second try would hide a first that failed.
  const client = new Anthropic({ apiKey: null, authToken, baseURL: gateway.url, maxRetries: 0 })
  return { client, server: serverOf(name) }
}

/** A message that thinks, speaks and calls a tool whose input comes in pieces. */
const events = [
  {
    type: 'message_start',
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 11, output_tokens: 1 },
    },
  },
  block(0, { type: 'thinking', thinking: '', signature: '' }),
  delta(0, { type: 'thinking_delta', thinking: 'Let me ' }),
  delta(0, { type: 'thinking_delta', thinking: 'see…' }),
  delta(0, { type: 'signature_delta', signature: 'c2lnbmVk' }),
  { type: 'content_block_stop', index: 0 },
  block(1, { type: 'text', text: '' }),
  delta(1, { type: 'text_delta', text: 'Grüße, ' }),
  delta(1, { type: 'text_delta', text: '世界 🌍\n' }),
  { type: 'content_block_stop', index: 1 },
  block(2, { type: 'tool_use', id: 'toolu_1', name: 'look', input: {} }),
  delta(2, { type: 'input_json_delta', partial_json: '{"pla' }),
  delta(2, { type: 'input_json_delta', partial_json: 'ce":"K\\u00f6ln","n":[1,2]}' }),
  { type: 'content_block_stop', index: 2 },
  {
    type: 'message_delta',
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { output_tokens: 42 },
  },
  { type: 'message_stop' },
]

function block(index: number, content_block: object): { type: string } {
  return Object.assign({ type: 'content_block_start' }, { index, content_block })
}

function delta(index: number, change: object): { type: string } {
  return Object.assign({ type: 'content_block_delta' }, { index, delta: change })
}

/** The message in the framing of the provider. */
function stream(name: string): Behaviour {
  if (name === 'bedrock') {
    return {
      headers: ['content-type', 'application/vnd.amazon.eventstream'],
      body: events.map((event) => chunkFrame(event)),
    }
  }
  return { body: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`) }
}

const question = {
  model,
  max_tokens: 4000,
  system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
  thinking: { type: 'enabled', budget_tokens: 2000 },
  tools: [
    {
      name: 'look',
      description: 'Looks at a place',
      input_schema: { type: 'object', properties: { place: { type: 'string' } } },
    },
  ],
  messages: [
    {
      role: 'user',
      content: [
        {
          type: 'image',
          source: {
            type: 'base64',
            media_type: 'image/png',
            data: randomBytes(300_000).toString('base64'),
          },
        },
        { type: 'text', text: `${'A long prompt with ümlauts. '.repeat(40_000)}Where is this?` },
      ],
    },
  ],
} satisfies Anthropic.MessageCreateParamsNonStreaming

for (const name of names) {
  test(`sdk: tools, thinking, an image and a long prompt stream through ${name} (F214 F386)`, async () => {
    const { client, server } = connect(name)
    const seen = server.requests.length
    server.next(stream(name))
    const message = await client.messages.stream(question).finalMessage()
    assert.deepEqual(message.content, [
      { type: 'thinking', thinking: 'Let me see…', signature: 'c2lnbmVk' },
      { type: 'text', text: 'Grüße, 世界 🌍\n' },
      { type: 'tool_use', id: 'toolu_1', name: 'look', input: { place: 'Köln', n: [1, 2] } },
    ])
    assert.equal(message.stop_reason, 'tool_use')
    assert.deepEqual(message.usage, { input_tokens: 11, output_tokens: 42 })
    const body = JSON.parse((await server.request(seen)).body.toString())
    for (const field of ['max_tokens', 'system', 'thinking', 'tools', 'messages'] as const) {
      assert.deepEqual(body[field], question[field], field)
    }
    const line = await gateway.audit(
      'inference',
      (audit) => audit['upstream'] === name && audit['path'] === '/v1/messages',
    )
    assert.equal(line['outcome'], 'complete')
    assert.equal(line['output_tokens'], 42)
  })

  test(`sdk: a refusal of ${name} is the library's own kind of error`, async () => {
    const { client, server } = connect(name)
    server.next({ status: 400, body: '{"message":"account 123456789012 says no"}' })
    await assert.rejects(client.messages.create(question), (error) => {
      assert.ok(error instanceof APIError)
      assert.equal(error.status, 400)
      return true
    })
  })

  test(`sdk: a stream of ${name} that breaks is an error, not a short message`, async () => {
    const { client, server } = connect(name)
    const whole = stream(name)
    assert.ok(Array.isArray(whole.body))
    server.next({ ...whole, body: [...whole.body.slice(0, 5), { ending: 'reset' }] })
    await assert.rejects(client.messages.stream(question).finalMessage(), APIError)
  })
}

test('sdk: a client that aborts closes the upstream’s stream', async () => {
  const { client, server } = connect('bedrock')
  const seen = server.requests.length
  const whole = stream('bedrock')
  assert.ok(Array.isArray(whole.body))
  server.next({ ...whole, body: [...whole.body.slice(0, 5), { ending: 'stall' }] })
  const running = client.messages.stream(question)
  running.on('thinking', () => running.abort())
  await assert.rejects(running.finalMessage(), Anthropic.APIUserAbortError)
  assert.equal(await (await server.request(seen)).closed, 'cut')
})
