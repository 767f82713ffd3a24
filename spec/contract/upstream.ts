/**
 * What holds for every provider, whatever it speaks: run by each provider's spec with the few
 * facts in which providers differ. Against a real server, never the network.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import { ClientGone, DeadlineExceeded } from '../../lib/kernel/abort.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import type { AttemptResult, ProviderDeps, Upstream } from '../../lib/upstream/upstream.ts'
import { createAsk, createDeps, readBody, shortBody } from '../support/ask.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream, type Behaviour, type FakeUpstream } from '../support/fake-upstream.ts'

export interface ProviderFacts {
  readonly provider: string
  /** An upstream named `u1` that sends to `base_url`, with `x-own: yes` as a configured header. */
  readonly create: (deps: ProviderDeps, base_url: string) => Upstream
  /** The model in this provider's spelling. */
  readonly model: string
  /** Where a streamed request for messages with `?beta=true` goes. */
  readonly target: string
  /** The body as sent upstream when the client sent `sent` for the model above. */
  readonly body: (sent: string) => string
  /** Whether a client's header of this name, in lower case, may reach the upstream. */
  readonly forwards: (name: string) => boolean
  /** What the server answers to a streamed request for one short message. */
  readonly answer: Behaviour
  /** Whether an upstream's own error body is the client's to see. */
  readonly relaysErrors: boolean
}

/** Every kind of header a client, a proxy before us or an attacker may send. */
const clientHeaders = {
  authorization: 'Bearer client-session-token',
  'x-api-key': 'client-key',
  'proxy-authorization': 'Basic client-proxy',
  'api-key': 'client-azure',
  cookie: 'client=cookie',
  'x-amz-security-token': 'client-aws',
  'x-goog-api-key': 'client-google',
  'x-forwarded-for': '9.9.9.9',
  'x-real-ip': '9.9.9.9',
  forwarded: 'for=9.9.9.9',
  via: '1.1 client',
  host: 'client.example',
  connection: 'keep-alive, x-hop',
  'keep-alive': 'timeout=1',
  'transfer-encoding': 'chunked',
  te: 'trailers',
  upgrade: 'h2c',
  expect: '100-continue',
  'content-length': '3',
  'content-encoding': 'br',
  'x-hop': 'spoof',
  'x-claude-gateway-user-id': 'spoof',
  'x-claude-gateway-user-email': 'spoof',
  'x-litellm-end-user-id': 'spoof',
  'x-client-request-id': 'client-id',
  'x-request-id': 'client-id',
  'request-id': 'client-id',
  traceparent: '00-client',
  'x-own': 'spoof',
  'anthropic-custom': 'spoof',
  'anthropic-workspace-id': 'spoof',
  'x-app': 'cli',
  'user-agent': 'claude-cli/2.1.330',
  accept: 'application/json',
  'content-type': 'application/json',
  'anthropic-version': '2023-06-01',
  'anthropic-beta': 'beta-1,beta-2',
  'x-stainless-lang': 'js',
}

export function checkProvider(facts: ProviderFacts): void {
  const named = (what: string, work: (bench: Bench) => Promise<void>): void => {
    test(`${facts.provider} contract: ${what}`, () => withBench(facts, work))
  }
  describeRequests(facts, named)
  describeAnswers(facts, named)
  describeFailures(facts, named)
  describeTime(facts, named)
}

interface Bench {
  readonly server: FakeUpstream
  readonly upstreamWith: (upstream_ttfb_ms: number) => Upstream
  readonly upstream: Upstream
}

type Named = (what: string, work: (bench: Bench) => Promise<void>) => void

async function withBench(
  { create, answer }: ProviderFacts,
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const server = await createFakeUpstream()
  server.always(answer)
  const egress = createEgress({ allowLoopback: true, clock: systemClock })
  const upstreamWith = (upstream_ttfb_ms: number): Upstream =>
    create(createDeps(egress, upstream_ttfb_ms), server.url)
  try {
    await work({ server, upstreamWith, upstream: upstreamWith(60_000) })
  } finally {
    await egress.close()
    await server.close()
  }
}

const streamedBody = shortBody.replace('{', '{ "stream": true, ')

function describeRequests({ model, target, body, forwards }: ProviderFacts, named: Named): void {
  named(
    'a request goes to its place, with only the headers that may',
    async ({ server, upstream }) => {
      const ask = createAsk({
        path: '/v1/messages?beta=true',
        headers: clientHeaders,
        body: streamedBody,
      })
      answerOf(await upstream.send({ ...ask, model }, model))
      const request = await server.request(0)
      assert.equal(request.method, 'POST')
      assert.equal(request.url, target)
      assert.equal(request.headers['x-own'], 'yes')
      assert.equal(request.headers.host, new URL(server.url).host)
      const values = request.rawHeaders.filter((_, i) => i % 2 === 1)
      for (const [name, value] of Object.entries(clientHeaders)) {
        if (forwards(name)) assert.equal(request.headers[name], value, name)
        else assert.ok(!values.includes(value) || isOurs(name, value), `${name}: ${value}`)
      }
    },
  )

  named(
    'the body is sent as the client sent it, but for what the provider needs',
    async (bench) => {
      const { server, upstream } = bench
      const odd =
        '{ "model" :"MODEL",\n"stream":true, "n":1.0, "e":1e3, "big":12345678901234567890, "s":"\\u00e9\\/ü", "max_tokens":1}'
      const sent = odd.replace('MODEL', model)
      answerOf(await upstream.send(createAsk({ body: sent }), model))
      assert.equal((await server.request(0)).body.toString(), body(sent))
    },
  )

  named(
    'every attempt is a request of its own with the same bytes',
    async ({ server, upstream }) => {
      const ask = createAsk({ body: streamedBody })
      for (let i = 0; i < 2; i++) await readBody(answerOf(await upstream.send(ask, model)).body)
      const [first, second] = server.requests
      assert.ok(first !== undefined && second !== undefined)
      assert.ok(first.body.equals(second.body))
      assert.equal(server.requests.length, 2)
    },
  )
}

/** Values that clients and the gateway write alike. */
function isOurs(name: string, value: string): boolean {
  return ['application/json', '2023-06-01', 'keep-alive', 'js'].includes(value) || name === 'x-own'
}

function describeAnswers({ model, relaysErrors }: ProviderFacts, named: Named): void {
  named('an answer names its upstream and its body is still to be read', async ({ upstream }) => {
    const answer = answerOf(await upstream.send(createAsk({ body: streamedBody }), model))
    assert.equal(answer.upstream, 'u1')
    assert.equal(answer.status, 200)
    assert.match(await readBody(answer.body), /message_stop/)
  })

  named(
    'framing and connection headers of the upstream stay behind',
    async ({ server, upstream }) => {
      const answer = answerOf(await upstream.send(createAsk({ body: streamedBody }), model))
      const names = answer.headers.map(([name]) => name.toLowerCase())
      for (const name of [
        'connection',
        'transfer-encoding',
        'content-length',
        'content-encoding',
      ]) {
        assert.ok(!names.includes(name), name)
      }
      assert.equal(server.requests.length, 1)
    },
  )

  named('an error status is an answer with its reason (F170)', async ({ server, upstream }) => {
    const body = '{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    server.always({ status: 400, body, headers: ['content-type', 'application/json'] })
    const answer = answerOf(await upstream.send(createAsk({ body: streamedBody }), model))
    assert.equal(answer.status, 400)
    assert.match(answer.reason, /^400 /)
    if (relaysErrors) assert.equal(await readBody(answer.body), body)
  })

  named('a redirect is not followed', async ({ server, upstream }) => {
    server.always({ status: 307, headers: ['location', `${server.url}/elsewhere`], body: '' })
    answerOf(await upstream.send(createAsk({ body: streamedBody }), model))
    assert.equal(server.requests.length, 1)
  })
}

function describeFailures({ create, model }: ProviderFacts, named: Named): void {
  named('a client that left is not asked for', async ({ server, upstream }) => {
    const signal = AbortSignal.abort(new ClientGone())
    assert.deepEqual(await upstream.send(createAsk({ signal }), model), { kind: 'client-gone' })
    assert.equal(server.connections, 0)
  })

  named('a client that leaves before the head closes the upstream at once', async (bench) => {
    const { server, upstream } = bench
    server.always({ fault: 'stall-before-head' })
    const controller = new AbortController()
    const sent = upstream.send(createAsk({ signal: controller.signal }), model)
    const { closed } = await server.request(0)
    controller.abort(new ClientGone())
    assert.deepEqual(await sent, { kind: 'client-gone' })
    assert.equal(await closed, 'cut')
  })

  named('a client that leaves mid-stream closes the upstream at once', async (bench) => {
    const { server, upstream } = bench
    server.always({ body: ['event: ping\ndata: {"type":"ping"}\n\n', { ending: 'stall' }] })
    const controller = new AbortController()
    const ask = createAsk({ body: streamedBody, signal: controller.signal })
    const { body } = answerOf(await upstream.send(ask, model))
    const outcome = assert.rejects(readBody(body), ClientGone)
    const { closed } = await server.request(0)
    controller.abort(new ClientGone())
    await outcome
    assert.equal(await closed, 'cut')
  })

  named(
    'a head that does not come in time is a failure (F201 F202)',
    async ({ server, upstreamWith }) => {
      server.always({ fault: 'stall-before-head' })
      const result = await upstreamWith(100).send(createAsk(), model)
      assert.equal(result.kind, 'failed')
      assert.ok(result.kind === 'failed')
      assert.match(result.reason, /timed out after 100 ms/)
      assert.equal(await (await server.request(0)).closed, 'cut')
    },
  )

  named('a connection reset before the head is a failure', async ({ server, upstream }) => {
    server.always({ fault: 'reset-before-head' })
    const result = await upstream.send(createAsk(), model)
    assert.ok(result.kind === 'failed')
    assert.match(result.reason, /^ECONNRESET: /)
  })

  named('an address nobody listens at, or that the guard refuses, is a failure', async () => {
    const egress = createEgress({ allowLoopback: true, clock: systemClock })
    const deps = createDeps(egress)
    const closed = await create(deps, 'http://127.0.0.1:1').send(createAsk(), model)
    assert.ok(closed.kind === 'failed')
    assert.match(closed.reason, /^ECONNREFUSED: /)
    const forbidden = await create(deps, 'http://169.254.169.254').send(createAsk(), model)
    assert.ok(forbidden.kind === 'failed')
    assert.match(forbidden.reason, /^ECONNREFUSED_SSRF: /)
    await egress.close()
  })
}

function describeTime({ create, model, answer }: ProviderFacts, named: Named): void {
  const events = Array.isArray(answer.body) ? answer.body : assert.fail('a list of events')
  const [first = '', ...others] = events

  named(
    'a body may be silent for ten minutes, and then fails behind what came (B029)',
    async ({ server }) => {
      const egress = createEgress({ allowLoopback: true, clock: systemClock })
      const asked: number[] = []
      // Undici's timers cannot be moved by hand: what is asked of them is, and then shortened.
      const hasty: Egress = {
        ...egress,
        request(wanted) {
          asked.push(wanted.bodySilenceMs)
          return egress.request({ ...wanted, bodySilenceMs: 300 })
        },
      }
      server.always({ ...answer, body: [first, { ending: 'stall' }] })
      const upstream = create(createDeps(hasty), server.url)
      const { body } = answerOf(await upstream.send(createAsk({ body: streamedBody }), model))
      assert.ok(body instanceof ReadableStream)
      let came = ''
      await assert.rejects(async () => {
        for await (const part of body) came += Buffer.from(part).toString()
      }, DeadlineExceeded)
      assert.match(came, /message_start/)
      assert.deepEqual(asked, [600_000])
      assert.equal(await (await server.request(0)).closed, 'cut')
      await egress.close()
    },
  )

  named('a stream that goes on for a day arrives to its end (F203)', async ({ server }) => {
    const clock = createFakeClock()
    const egress = createEgress({ allowLoopback: true, clock })
    server.always({ ...answer, body: [first, { waitMs: 500 }, ...others] })
    const upstream = create(createDeps(egress, 1_000, { clock }), server.url)
    const { body } = answerOf(await upstream.send(createAsk({ body: streamedBody }), model))
    assert.ok(body instanceof ReadableStream)
    const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader()
    let came = Buffer.from((await reader.read()).value ?? []).toString()
    const dayMs = 24 * 3_600_000
    await clock.advance(dayMs)
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      came += Buffer.from(part.value).toString()
    }
    assert.ok(clock.elapsed() >= dayMs)
    assert.match(came, /message_start[^]*message_stop/)
    await egress.close()
  })
}

type Answered = Extract<AttemptResult, { kind: 'answered' }>['answer']

function answerOf(result: AttemptResult): Answered {
  assert.ok(result.kind === 'answered', JSON.stringify(result))
  return result.answer
}
