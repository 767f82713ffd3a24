/** The policy webhook on a real server: what it is told, what it may answer, what it may do wrong. */
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { after, test, type TestContext } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { systemClock, type Clock } from '../../lib/kernel/clock.ts'
import { type ErrorCode, GatewayError } from '../../lib/kernel/errors.ts'
import { createPolicyWebhook, type WebhookConfig } from '../../lib/policy/webhook.ts'
import { scanJsonBody } from '../../lib/stream/json-body.ts'
import { alice, shortBody } from '../support/ask.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { type Behaviour, createFakeUpstream } from '../support/fake-upstream.ts'
import { createRecorder } from '../support/recorder.ts'

const egress = createEgress({ allowLoopback: true, clock: systemClock })
after(() => egress.close())

interface Options extends Partial<WebhookConfig> {
  readonly clock?: Clock
  readonly path?: string
  readonly via?: typeof egress
}

interface Asked {
  readonly body?: string | Uint8Array
  readonly query?: string
  readonly headers?: IncomingHttpHeaders
  readonly sub?: string
  readonly signal?: AbortSignal
}

async function setUp(t: TestContext, options: Options = {}) {
  const { clock = systemClock, path = '', via = egress, ...config } = options
  const service = await createFakeUpstream()
  t.after(() => service.close())
  const { log, audit, lines, audits } = createRecorder()
  const webhook = createPolicyWebhook(
    { egress: via, clock, log, audit },
    { url: service.url + path, fail_closed: true, ...config },
  )
  const admit = ({ body = shortBody, query = '', headers = {}, sub, signal }: Asked = {}) => {
    const scanned = scanJsonBody(Buffer.from(body))
    assert.ok(scanned.kind === 'ok')
    return webhook.admit({
      path: '/v1/messages',
      query,
      headers,
      body: scanned.body,
      caller: sub === undefined ? alice : { ...alice, sub },
      requestId: 'req-1',
      signal: signal ?? new AbortController().signal,
    })
  }
  /** What the client is told, or `admitted`. */
  const told = async (behaviour?: Behaviour): Promise<string> => {
    if (behaviour !== undefined) service.next(behaviour)
    try {
      await admit()
      return 'admitted'
    } catch (error) {
      assert.ok(error instanceof GatewayError)
      assert.equal(error.code, 'policy/blocked' satisfies ErrorCode)
      return error.message
    }
  }
  return { service, admit, told, lines, audits }
}

const verdict = (decision: object): Behaviour => ({ body: JSON.stringify(decision) })
const blocked = (cause: string) => [
  {
    event: 'policy.blocked',
    request_id: 'req-1',
    sub: 'u-alice',
    cause,
    path: '/v1/messages',
  },
]

test('webhook: the request is put to it with the client’s own bytes', async (t) => {
  const { service, admit, audits, lines } = await setUp(t, { path: '/judge?k=1' })
  service.next(verdict({ block: false }))
  const body =
    '{ "model":"claude-sonnet-4-6", "n": 1.0,"big":123456789012345678901,"t":"\\u0061" }\n'
  await admit({
    body,
    query: '?beta=true',
    headers: {
      'user-agent': 'claude-cli/2',
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'b1',
      'x-stainless-lang': 'js',
      authorization: 'Bearer developer',
      cookie: 'a=b',
      'x-api-key': 'sk',
      'x-custom': '1',
    },
  })
  const received = await service.request(0)
  assert.equal(
    received.body.toString(),
    '{"path":"/v1/messages","query":"?beta=true","headers":{"anthropic-beta":"b1",' +
      '"anthropic-version":"2023-06-01","content-type":"application/json",' +
      `"user-agent":"claude-cli/2","x-stainless-lang":"js"},"body":${body}}`,
  )
  assert.deepEqual([received.method, received.url], ['POST', '/judge?k=1'])
  assert.equal(received.headers['content-type'], 'application/json')
  assert.equal(received.headers['x-principal-sub'], 'u-alice')
  assert.equal(received.headers['x-request-id'], 'req-1')
  assert.equal(received.headers['authorization'], undefined)
  assert.deepEqual([audits, lines], [[], []])
})

test('webhook: a name that no header can hold is percent-encoded', async (t) => {
  const { service, admit } = await setUp(t)
  service.next(verdict({ block: false }))
  await admit({ sub: 'bör\r\nx: y' })
  assert.equal((await service.request(0)).headers['x-principal-sub'], 'b%C3%B6r%0D%0Ax: y')
})

test('webhook: a verdict against a request blocks it, with the reason when there is one', async (t) => {
  const { told, audits, lines } = await setUp(t)
  const standard = "blocked by your organization's policy"
  assert.equal(await told(verdict({ block: true })), standard)
  assert.deepEqual(audits, blocked('policy_hit'))
  for (const [reason, message] of [
    ['no customer data, please', 'no customer data, please'],
    ['', standard],
    ['  \n ', standard],
    [5, standard],
    [null, standard],
    ['  a\tb\r\n<b>\u2028\u202E\u0000é😀  \u001B[31m', 'a b <b> é😀 [31m'],
    ['x'.repeat(500), 'x'.repeat(500)],
    ['😀'.repeat(501), `${'😀'.repeat(500)}…`],
    ['x'.repeat(200_000), `${'x'.repeat(500)}…`],
    ['\uD800', '\uFFFD'],
  ] as const) {
    assert.equal(await told(verdict({ block: true, reason })), message)
  }
  assert.equal(await told({ ...verdict({ block: true }), status: 201 }), standard)
  assert.deepEqual(lines, [])
})

/** Everything that is no verdict, with the audit's word and the log's. */
const failures: readonly (readonly [Behaviour, string, RegExp])[] = [
  [{ ...verdict({ block: false }), status: 500 }, 'engine_error', /webhook returned 500/],
  [{ ...verdict({ block: false }), status: 302 }, 'engine_error', /webhook returned 302/],
  [{ status: 204 }, 'engine_error', /no JSON/],
  [{ body: '<html>' }, 'engine_error', /no JSON/],
  [{ body: 'null' }, 'engine_error', /non-object/],
  [{ body: '[]' }, 'engine_error', /non-object/],
  [{ body: '{}' }, 'decision_shape', /no boolean block/],
  [verdict({ block: 'false' }), 'decision_shape', /no boolean block/],
  [{ fault: 'reset-before-head' }, 'engine_error', /ECONNRESET/],
  [{ body: ['{"block":', { ending: 'reset' }] }, 'engine_error', /./],
  [{ body: ['{"block":false}', { flood: 1_100_000 }] }, 'engine_error', /larger than/],
]

test('webhook: without a verdict nothing passes, and the log and the audit say why', async (t) => {
  for (const [behaviour, cause, reason] of failures) {
    const { told, audits, lines } = await setUp(t)
    assert.equal(await told(behaviour), 'policy check unavailable', String(reason))
    assert.deepEqual(audits, blocked(cause))
    assert.match(lines.join(), reason)
    assert.match(lines.join(), /^warn policy check failed: .* request_id=req-1$/)
  }
})

test('webhook: with fail_closed off a request without a verdict passes, and that is audited', async (t) => {
  for (const [behaviour, cause, reason] of failures) {
    const { told, audits, lines } = await setUp(t, { fail_closed: false })
    assert.equal(await told(behaviour), 'admitted', String(reason))
    assert.deepEqual(audits, [{ ...blocked(cause)[0], event: 'policy.skipped' }])
    assert.match(lines.join(), /: let through \(cri\.policy\.webhook\.fail_closed is false\)$/)
  }
  const { told } = await setUp(t, { fail_closed: false })
  assert.notEqual(await told(verdict({ block: true })), 'admitted', 'a verdict still counts')
})

test('webhook: it has two seconds, or as long as the configuration says', async (t) => {
  for (const [timeout_ms, waitMs] of [
    [undefined, 2000],
    [30_000, 30_000],
  ]) {
    const clock = createFakeClock()
    const { service, told, lines } = await setUp(t, { clock, timeout_ms })
    const answer = told({ fault: 'stall-before-head' })
    const { closed } = await service.request(0)
    await clock.advance((waitMs ?? 0) - 1)
    assert.equal(service.open, 1)
    await clock.advance(1)
    assert.equal(await answer, 'policy check unavailable')
    assert.equal(await closed, 'cut')
    assert.match(lines.join(), new RegExp(`timed out after ${waitMs} ms`))
  }
})

test('webhook: an answer that never ends is no verdict either', async (t) => {
  const { told, lines } = await setUp(t, { timeout_ms: 300 })
  assert.equal(await told({ body: ['{', { ending: 'stall' }] }), 'policy check unavailable')
  assert.match(lines.join(), /timed out after 300 ms/)
})

test('webhook: a client that leaves is nobody’s verdict, and the question is taken back', async (t) => {
  const { service, admit, audits, lines } = await setUp(t, { fail_closed: false })
  service.next({ fault: 'stall-before-head' })
  const leaving = new AbortController()
  const admitted = admit({ signal: leaving.signal })
  const { closed } = await service.request(0)
  leaving.abort(new ClientGone())
  await assert.rejects(admitted, ClientGone)
  assert.equal(await closed, 'cut')
  assert.deepEqual([audits, lines], [[], []])
})

test('webhook: a body that it could read otherwise than the provider is refused unasked', async (t) => {
  const { service, admit } = await setUp(t, { fail_closed: false })
  const code = async (body: string | Uint8Array): Promise<string> => {
    const error: unknown = await admit({ body }).catch((reason: unknown) => reason)
    assert.ok(error instanceof GatewayError)
    return `${error.code}: ${error.message}`
  }
  assert.equal(
    await code('{"model":"m","messages":[1],"mess\\u0061ges":[2]}'),
    'inference/duplicate-key: duplicate key: messages',
  )
  const latin1 = Buffer.from('{"model":"m","messages":"\xE9"}', 'latin1')
  assert.equal(await code(latin1), 'inference/invalid-json: invalid JSON')
  assert.equal(service.requests.length, 0)
})

test('webhook: the network guard holds for it', async (t) => {
  const guarded = createEgress({ allowLoopback: false, clock: systemClock })
  t.after(() => guarded.close())
  const { service, told, lines } = await setUp(t, { via: guarded })
  assert.equal(await told(), 'policy check unavailable')
  assert.equal(service.connections, 0)
  assert.match(lines.join(), /ECONNREFUSED_SSRF/)
})

test('webhook: a prompt of megabytes is put to it whole', async (t) => {
  const { service, admit } = await setUp(t, { timeout_ms: 20_000 })
  service.next(verdict({ block: false }))
  const body = JSON.stringify({ model: 'm', messages: 'ä'.repeat(2_000_000) })
  await admit({ body })
  const received: unknown = JSON.parse((await service.request(0)).body.toString())
  assert.deepEqual(Reflect.get(Object(received), 'body'), JSON.parse(body))
})
