import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { DeadlineExceeded, UpstreamBroke } from '../../lib/kernel/abort.ts'
import { createAnthropic } from '../../lib/upstream/anthropic.ts'
import type { Answer, Ask } from '../../lib/upstream/upstream.ts'
import { checkProvider } from '../contract/upstream.ts'
import {
  alice,
  createAnthropicAt,
  createAsk,
  readBody,
  shortBody,
  type AnthropicChanges,
} from '../support/ask.ts'
import { createFakeUpstream, messageEvents, type FakeUpstream } from '../support/fake-upstream.ts'

const forwarded = [
  'accept',
  'content-type',
  'anthropic-version',
  'anthropic-beta',
  'x-stainless-lang',
]

checkProvider({
  provider: 'anthropic',
  create: (deps, base_url) =>
    createAnthropic(deps, {
      provider: 'anthropic',
      name: 'u1',
      base_url,
      headers: { 'x-own': 'yes' },
      timeouts: {},
      auth: { api_key: 'sk-up-1' },
      forward_user_identity: false,
    }),
  model: 'claude-sonnet-4-6',
  target: '/v1/messages?beta=true',
  body: (sent) => sent,
  forwards: (name) => forwarded.includes(name),
  answer: { body: messageEvents('Hello') },
  relaysErrors: true,
})

interface Bench {
  readonly server: FakeUpstream
  /** Sends `ask` through an upstream with these changes; fails when it is not answered. */
  readonly send: (ask: Ask, changes?: AnthropicChanges, model?: string) => Promise<Answer>
}

async function withServer(work: (bench: Bench) => Promise<void>): Promise<void> {
  const server = await createFakeUpstream()
  const made: { close: () => Promise<void> }[] = []
  try {
    await work({
      server,
      async send(ask, changes, model = ask.model) {
        const { upstream, close } = createAnthropicAt(changes?.base_url ?? server.url, changes)
        made.push({ close })
        const result = await upstream.send(ask, model)
        assert.ok(result.kind === 'answered', JSON.stringify(result))
        return result.answer
      },
    })
  } finally {
    await Promise.all(made.map(({ close }) => close()))
    await server.close()
  }
}

interface Capture {
  readonly name: string
  readonly auth: 'api_key' | 'oauth_token' | 'forward_user_identity'
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string
  readonly upstream: {
    readonly url: string
    readonly headers: readonly (readonly [string, string])[]
    readonly body: string
  }
}

const fixtures = `${import.meta.dirname}/../fixtures/upstream`
const captures: Capture[] = JSON.parse(readFileSync(`${fixtures}/anthropic-requests.json`, 'utf8'))

const authOf: Record<Capture['auth'], AnthropicChanges> = {
  api_key: { auth: { api_key: 'sk-up-1' } },
  oauth_token: { auth: { oauth_token: 'oat-up-1' } },
  forward_user_identity: { auth: { api_key: 'sk-up-1' }, forward_user_identity: true },
}

/** As node:http hands them on. */
function joined(headers: Capture['headers']): IncomingHttpHeaders {
  const entries = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), [value].flat().join(', ')] as const,
  )
  return Object.fromEntries(entries)
}

for (const capture of captures) {
  test(`anthropic: the captured request is sent as captured (${capture.name}) (F178 F181 F197)`, () =>
    withServer(async ({ server, send }) => {
      const { path, body, upstream, auth } = capture
      const headers: IncomingHttpHeaders = {
        'content-type': 'application/json',
        authorization: 'Bearer gateway-session',
        ...joined(capture.headers),
      }
      await send(createAsk({ path, body, headers }), authOf[auth])
      const request = await server.request(0)
      assert.equal(request.url, upstream.url)
      assert.equal(request.body.toString(), upstream.body)
      const expected = upstream.headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`)
      const sent = request.rawHeaders.flatMap((name, i) =>
        i % 2 === 0 ? [`${name.toLowerCase()}: ${request.rawHeaders[i + 1]}`] : [],
      )
      const unhosted = (lines: string[]): string[] =>
        lines.filter((line) => !line.startsWith('host: ')).toSorted()
      assert.deepEqual(unhosted(sent), unhosted(expected))
    }))
}

test('anthropic: response headers pass or stay behind as captured (F207 F388)', () =>
  withServer(async ({ server, send }) => {
    const rows = readFileSync(`${fixtures}/anthropic-response-headers.tsv`, 'utf8')
      .trim()
      .split('\n')
    const table = rows.slice(1).map((row) => row.split('\t'))
    const headers = table.flatMap(([name = '', value = '']) => [name, value])
    // Chunked, because node:http will not announce trailers otherwise.
    server.always({ headers, body: ['{}'] })
    const answer = await send(createAsk())
    const passed = new Map(answer.headers.map(([name, value]) => [name.toLowerCase(), value]))
    // Ids are the edge's to write, and so are the headers it sets on every reply.
    const ours = ['request-id', 'x-request-id', 'x-content-type-options', 'x-frame-options']
    ours.push('referrer-policy', 'cross-origin-opener-policy')
    for (const [name = '', value, received] of table) {
      const dropped = received === '(dropped)' || ours.includes(name)
      assert.equal(passed.get(name), dropped ? undefined : value, name)
    }
    assert.equal(answer.upstreamRequestId, 'req_1')
    assert.equal(answer.upstreamCloudRequestId, 'a')
  }))

test('anthropic: repeated response headers stay repeated', () =>
  withServer(async ({ server, send }) => {
    server.always({ headers: ['set-cookie', 'a=1', 'Set-Cookie', 'b=2'], body: '{}' })
    const { headers } = await send(createAsk())
    assert.deepEqual(headers.slice(0, 2), [
      ['set-cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ])
  }))

test('anthropic: headers that the upstream marks as meant for this hop end here', () =>
  withServer(async ({ server, send }) => {
    const headers = ['Connection', 'keep-alive, X-Hop', 'x-hop', 'a', 'x-end', 'b']
    server.always({ headers, body: '{}' })
    const names = (await send(createAsk())).headers.map(([name]) => name)
    assert.ok(names.includes('x-end') && !names.includes('x-hop'), names.join())
  }))

test('anthropic: a translated model is spliced and every other byte stays', () =>
  withServer(async ({ server, send }) => {
    const body =
      '{"n":1.0, "model" : "claude-haiku-4-5" ,"messages":[{"model":"claude-haiku-4-5"}],"e":1e3}'
    await send(createAsk({ body }), {}, 'claude-haiku-4-5-20251001')
    assert.equal(
      server.requests[0]?.body.toString(),
      '{"n":1.0, "model" : "claude-haiku-4-5-20251001" ,"messages":[{"model":"claude-haiku-4-5"}],"e":1e3}',
    )
  }))

test('anthropic: an escaped spelling of the same model is left alone', () =>
  withServer(async ({ server, send }) => {
    const body = shortBody.replace('claude-sonnet', '\\u0063laude\\u002dsonnet')
    await send(createAsk({ body }))
    assert.equal(server.requests[0]?.body.toString(), body)
  }))

test('anthropic: a path prefix of base_url is kept, a slash at its end is not', () =>
  withServer(async ({ server, send }) => {
    for (const prefix of ['', '/', '/team/llm', '/team/llm/']) {
      await send(createAsk({ path: '/v1/messages?a' }), { base_url: server.url + prefix })
    }
    await send(createAsk({ path: '/v1/messages/count_tokens' }), { base_url: `${server.url}/p` })
    assert.deepEqual(
      server.requests.map(({ url }) => url),
      [
        '/v1/messages?a',
        '/v1/messages?a',
        '/team/llm/v1/messages?a',
        '/team/llm/v1/messages?a',
        '/p/v1/messages/count_tokens',
      ],
    )
  }))

test("anthropic: a configured header wins over the client's of the same name", () =>
  withServer(async ({ server, send }) => {
    const headers = { accept: 'text/plain', 'x-stainless-os': 'Linux', 'x-stainless-arch': 'x64' }
    await send(createAsk({ headers }), { headers: { Accept: 'a/b', 'X-Stainless-OS': 'Mars' } })
    const sent = server.requests[0]?.headers
    assert.equal(sent?.accept, 'a/b')
    assert.equal(sent?.['x-stainless-os'], 'Mars')
    assert.equal(sent?.['x-stainless-arch'], 'x64')
  }))

test('anthropic: without an email only the id of the user is forwarded (F198)', () =>
  withServer(async ({ server, send }) => {
    const caller = { ...alice, email: undefined }
    await send(createAsk({ caller }), { forward_user_identity: true })
    const sent = server.requests[0]?.headers ?? {}
    assert.equal(sent['x-claude-gateway-user-id'], 'u-alice')
    assert.ok(!('x-claude-gateway-user-email' in sent) && !('x-litellm-end-user-id' in sent))
  }))

test('anthropic: an identity outside printable ASCII is percent-encoded', () =>
  withServer(async ({ server, send }) => {
    const caller = { ...alice, sub: 'ü\r\nx-evil: 1\uD800', email: 'zoë@exämple.com' }
    await send(createAsk({ caller }), { forward_user_identity: true })
    const sent = server.requests[0]?.headers ?? {}
    assert.equal(sent['x-claude-gateway-user-id'], '%C3%BC%0D%0Ax-evil: 1%EF%BF%BD')
    assert.equal(sent['x-claude-gateway-user-email'], 'zo%C3%AB@ex%C3%A4mple.com')
  }))

test("anthropic: a 429 to a request that named its user is final, any other is failover's", () =>
  withServer(async ({ server, send }) => {
    server.always({ status: 429, body: '{}' })
    const forward = { forward_user_identity: true }
    assert.equal((await send(createAsk(), forward)).final, true)
    assert.equal(
      (await send(createAsk({ caller: { ...alice, email: undefined } }), forward)).final,
      false,
    )
    assert.equal((await send(createAsk())).final, false)
    server.always({ status: 529, body: '{}' })
    assert.equal((await send(createAsk(), forward)).final, false)
  }))

for (const encoding of ['gzip', 'br', 'deflate', 'zstd'] as const) {
  test(`anthropic: a body compressed with ${encoding} arrives plain, in errors too (F389)`, () =>
    withServer(async ({ server, send }) => {
      server.next({ body: '{"ok":"ü"}', encoding }, { status: 400, body: '{"no":1}', encoding })
      const answer = await send(createAsk({ headers: { 'accept-encoding': encoding } }))
      assert.equal(await readBody(answer.body), '{"ok":"ü"}')
      assert.ok(answer.headers.every(([name]) => name.toLowerCase() !== 'content-encoding'))
      assert.equal(server.requests[0]?.headers['accept-encoding'], encoding)
      assert.equal(await readBody((await send(createAsk())).body), '{"no":1}')
    }))
}

test('anthropic: a coding that cannot be undone is passed with its bytes', () =>
  withServer(async ({ server, send }) => {
    server.next(
      { headers: ['content-encoding', 'compress'], body: 'opaque' },
      { headers: ['content-encoding', 'identity'], body: 'plain' },
    )
    const opaque = await send(createAsk())
    assert.ok(
      opaque.headers.some(([name, value]) => `${name}: ${value}` === 'content-encoding: compress'),
    )
    assert.equal(await readBody(opaque.body), 'opaque')
    const plain = await send(createAsk())
    assert.ok(plain.headers.every(([name]) => name !== 'content-encoding'))
  }))

test('anthropic: statuses without a body have none, and the reason is for the log', () =>
  withServer(async ({ server, send }) => {
    server.next({ status: 204 }, { status: 529, statusText: 'Overloaded', body: '' })
    assert.equal((await send(createAsk())).body, null)
    const { reason, body } = await send(createAsk())
    assert.equal(reason, '529 Overloaded')
    assert.equal(await readBody(body), '')
  }))

test('anthropic: a stream cut mid-event delivers what came and breaks', () =>
  withServer(async ({ server, send }) => {
    server.always({ body: ['event: a\ndata: {}\n\n', 'event: hal', { ending: 'reset' }] })
    const { body } = await send(createAsk())
    assert.ok(body instanceof ReadableStream)
    let text = ''
    await assert.rejects(async () => {
      for await (const part of body) text += Buffer.from(part).toString()
    }, UpstreamBroke)
    assert.equal(text, 'event: a\ndata: {}\n\nevent: hal')
  }))

test('anthropic: a body may be silent for ten minutes and no longer', async () => {
  const silences: number[] = []
  const { upstream } = createAnthropicAt('http://upstream.example', {
    upstream_ttfb_ms: 1_234,
    egress: {
      request(request) {
        silences.push(request.headTimeoutMs, request.bodySilenceMs)
        return Promise.reject(new DeadlineExceeded('waiting for the response head', 1_234))
      },
      fetch,
      close: () => Promise.resolve(),
    },
  })
  const result = await upstream.send(createAsk(), 'm')
  assert.deepEqual(silences, [1_234, 600_000])
  assert.equal(result.kind, 'failed')
})
