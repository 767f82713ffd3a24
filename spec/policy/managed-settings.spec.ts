/** `/managed/settings`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reply } from '../../lib/http/exchange.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import { createManagedSettings } from '../../lib/policy/managed-settings.ts'
import type { JsonObject, Policy } from '../../lib/policy/policy.ts'
import { telemetryEnv } from '../../lib/policy/telemetry-env.ts'
import { callerOf, createRecorder, exchangeOf, recorded, setups } from './recorded-managed.ts'

const publicUrl = 'http://localhost:9321'
/** A reply's body as text, and its headers without those of the edge. */
const seen = ({ status, headers, body }: Reply) => ({
  status,
  headers: new Map(headers.map(([name, value]) => [name.toLowerCase(), value])),
  body: body ?? '',
})

const requests = recorded.filter(({ path }) => path === '/managed/settings')
for (const request of requests) {
  test(`managed settings: ${request.config}, ${request.request}: as recorded`, async () => {
    const setup = setups[request.config] ?? assert.fail(`no setup for ${request.config}`)
    const { log, audit, audits } = createRecorder()
    const handle = createManagedSettings(
      { log, audit },
      {
        policies: setup.policies,
        env: telemetryEnv(setup.telemetry, publicUrl),
        modelPricing: setup.modelPricing ?? null,
      },
    )
    const reply = seen(await handle(exchangeOf(request.headers), callerOf(request)))
    assert.equal(reply.status, request.status)
    assert.equal(reply.body, request.body)
    assert.deepEqual(
      reply.headers,
      new Map(request.response_headers.map(([name, value]) => [name.toLowerCase(), value])),
    )
    assert.equal(audits.length, request.status === 200 ? 1 : 0)
  })
}

const caller = (...groups: string[]): Caller => ({
  sub: 'u1',
  email: 'u1@example.com',
  name: undefined,
  groups,
  expiresAt: 0,
})
const desktopAgent = { 'user-agent': 'claude-cli/2.1.330 (external, claude-desktop)' }

const ask = async (
  policies: readonly Policy[] | undefined,
  options: {
    who?: Caller
    headers?: Record<string, string>
    env?: JsonObject
    modelPricing?: JsonObject
  } = {},
) => {
  const recorder = createRecorder()
  const { env = null, modelPricing = null } = options
  const handle = createManagedSettings(recorder, { policies, env, modelPricing })
  const reply = seen(await handle(exchangeOf(options.headers), options.who ?? caller()))
  const text = typeof reply.body === 'string' ? reply.body : ''
  const settings = text.startsWith('{') ? JSON.parse(text).settings : undefined
  return { ...reply, settings, lines: recorder.lines, audits: recorder.audits }
}

test('managed settings: the audit names policy and checksum, and the email when there is one', async () => {
  const policies = [{ match: { groups: ['b'] } }, { cli: { model: 'm' } }]
  const { audits, headers } = await ask(policies)
  const checksum = headers.get('etag')?.replaceAll('"', '')
  const sub = 'u1'
  assert.deepEqual(audits, [
    {
      event: 'managed.serve',
      request_id: 'request-1',
      sub,
      email: 'u1@example.com',
      policy_index: 1,
      checksum,
    },
  ])
})

test('managed settings: a 304 is no delivery and is not audited', async () => {
  const policies = [{ cli: { model: 'm' } }]
  const { headers } = await ask(policies)
  const again = await ask(policies, { headers: { 'if-none-match': headers.get('etag') ?? '' } })
  assert.equal(again.status, 304)
  assert.equal(again.body, '')
  assert.equal(again.headers.has('etag'), false)
  assert.deepEqual(again.audits, [])
})

test('managed settings: pushed env comes first, and the policy overrules each variable', async () => {
  const env = { OTEL_A: 'pushed', OTEL_B: 'pushed' }
  const policies: Policy[] = [
    { match: { groups: ['a'] }, cli: { model: 'x' } },
    { cli: { language: 'y', env: { OTEL_B: 5, C: null } } },
  ]
  const { settings } = await ask(policies, { env, who: caller('a') })
  assert.equal(
    JSON.stringify(settings),
    '{"language":"y","env":{"OTEL_A":"pushed","OTEL_B":5,"C":null},"model":"x"}',
  )
  const bare = await ask([{ cli: { model: 'x' } }], { env: { A: '1' } })
  assert.equal(JSON.stringify(bare.settings), '{"model":"x","env":{"A":"1"}}')
})

test('managed settings: prices are the last key, and an own or inherited setting wins', async () => {
  const modelPricing = { multiplier: 0.5 }
  const priced = await ask([{ cli: { model: 'x' } }], { modelPricing })
  assert.equal(JSON.stringify(priced.settings), '{"model":"x","modelPricing":{"multiplier":0.5}}')
  const policies: Policy[] = [
    { match: { groups: ['a'] }, cli: { model: 'x' } },
    { cli: { modelPricing: {} } },
  ]
  for (const who of [caller(), caller('a')]) {
    const { settings } = await ask(policies, { modelPricing, who })
    assert.deepEqual(settings.modelPricing, {})
  }
})

test('managed settings: an empty list of policies is configured, and matches nobody', async () => {
  const { status, body } = await ask([], { env: { A: '1' } })
  assert.deepEqual([status, body], [404, 'no policy matched'])
})

test('managed settings: who matched nothing is told in the log, with what was tried', async () => {
  const policies = [{ match: { groups: ['x'] } }, { match: { email_domain: 'y.com' } }]
  const { lines } = await ask(policies, { who: caller('q') })
  assert.match(lines[0] ?? '', /^warn .*no policy matched.*sub=u1 groups=q request_id=request-1$/)
  assert.match(lines[1] ?? '', /^debug .*groups x; email_domain y\.com$/)
})

test('managed settings: serve_to_desktop is inherited from the base unless set', async () => {
  const policies: Policy[] = [
    { match: { groups: ['a'] }, cli: { model: 'x' } },
    { match: { groups: ['b'] }, cli: {}, serve_to_desktop: false },
    { match: { groups: ['c'] } },
    { cli: { model: 'y' }, serve_to_desktop: true },
  ]
  const status = async (group: string): Promise<number> =>
    (await ask(policies, { who: caller(group), headers: desktopAgent })).status
  assert.deepEqual(await Promise.all(['a', 'b', 'c', 'd'].map(status)), [200, 404, 200, 200])
})

test('managed settings: keeping settings from Desktop is logged unless it was decided', async () => {
  const unset = await ask([{ cli: {} }], { headers: desktopAgent })
  assert.match(unset.lines.join(), /^info .*policy 0 is kept from a Claude Desktop session/)
  const decided = await ask([{ cli: {}, serve_to_desktop: false }], { headers: desktopAgent })
  assert.deepEqual(decided.lines, [])
})

test('managed settings: code of the base makes a policy without settings code too', async () => {
  const policies: Policy[] = [{ match: { groups: ['a'] } }, { code: { model: 'y' } }]
  const who = caller('a')
  assert.equal((await ask(policies, { who, headers: desktopAgent })).status, 200)
  const star = await ask(policies, { who, headers: { 'if-none-match': '*' } })
  assert.equal(star.status, 304)
  assert.equal(star.headers.get('cache-control'), 'no-store')
  assert.match(star.lines.join(), /Code tab does not start/)
  const alone: Policy[] = [{ match: { groups: ['a'] } }, { match: { groups: ['b'] }, code: {} }]
  assert.equal((await ask(alone, { who, headers: desktopAgent })).status, 404)
  assert.equal((await ask(alone, { who, headers: { 'if-none-match': '*' } })).status, 200)
})

test('managed settings: documents are built once, at boot: no answer reads a policy again (B044)', async () => {
  const { log, audit } = createRecorder()
  let reads = 0
  const cli = Object.defineProperty({}, 'model', {
    enumerable: true,
    get: () => `m${(reads += 1)}`,
  })
  const policies = [{ cli }]
  const handle = createManagedSettings({ log, audit }, { policies, env: null, modelPricing: null })
  const atBoot = reads
  assert.ok(atBoot > 0)
  const [first, second] = [
    await handle(exchangeOf(), caller()),
    await handle(exchangeOf(), caller('a')),
  ]
  assert.equal(first.body, second.body)
  assert.equal(reads, atBoot)
  assert.ok(typeof first.body === 'string')
})
