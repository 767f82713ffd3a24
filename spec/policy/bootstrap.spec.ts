/** `/user/bootstrap`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { createBootstrap } from '../../lib/policy/bootstrap.ts'
import type { Policy } from '../../lib/policy/policy.ts'
import {
  callerOf,
  createParts,
  createRecorder,
  exchangeOf,
  recorded,
  type Setup,
  setups,
} from './recorded-managed.ts'

const publicUrl = 'http://localhost:9321'
const create = (setup: Setup, recorder = createRecorder()) =>
  createBootstrap(
    { ...createParts(setup), ...recorder },
    {
      policies: setup.policies ?? [],
      publicUrl,
      telemetryLabels: setup.telemetry?.resource_attributes ?? null,
      adminGroups: ['admins'],
    },
  )

for (const request of recorded.filter(({ path }) => path === '/user/bootstrap')) {
  test(`bootstrap: ${request.config}, ${request.request}: as recorded`, async () => {
    const setup = setups[request.config] ?? assert.fail(`no setup for ${request.config}`)
    const id = /"request_id":"([^"]+)"/.exec(request.body)?.[1]
    const reply = await create(setup)(exchangeOf({}, id), callerOf(request))
    assert.equal(reply.status, request.status)
    assert.equal(reply.body, request.body)
    assert.deepEqual(
      new Map(reply.headers.map(([name, value]) => [name.toLowerCase(), value])),
      new Map(request.response_headers.map(([name, value]) => [name.toLowerCase(), value])),
    )
  })
}

const caller = (...groups: string[]): Caller => ({
  sub: 'u1',
  email: undefined,
  name: undefined,
  groups,
  expiresAt: 1,
})
const ask = async (policies: readonly Policy[], who = caller(), setup: Setup = {}) => {
  const recorder = createRecorder()
  const reply = await create({ ...setup, policies }, recorder)(exchangeOf(), who)
  const body = JSON.parse(typeof reply.body === 'string' ? reply.body : '')
  return { status: reply.status, body, lines: recorder.lines, audits: recorder.audits }
}

test('bootstrap: a delivery is audited with the policy, without an address that is not there', async () => {
  const { audits } = await ask([{ match: { groups: ['x'] } }, { desktop: {} }])
  assert.deepEqual(audits, [
    {
      event: 'desktop_bootstrap.serve',
      request_id: 'request-1',
      sub: 'u1',
      email: undefined,
      policy_index: 1,
    },
  ])
})

const denied: readonly [reason: string, policies: Policy[], warns: boolean][] = [
  ['not_configured', [], false],
  ['not_configured', [{ match: { groups: ['zz'] }, cli: {} }], false],
  ['no_policy_matched', [{ match: { groups: ['zz'] }, desktop: {} }], true],
  ['policy_not_opted_in', [{ match: { groups: ['zz'] }, desktop: {} }, { cli: {} }], true],
]
for (const [reason, policies, warns] of denied) {
  test(`bootstrap: ${JSON.stringify(policies)} is denied: ${reason}`, async () => {
    const { status, body, lines, audits } = await ask(policies)
    assert.equal(status, 404)
    assert.equal(body.error.type, 'not_found_error')
    assert.equal(
      lines.some((line) => line.startsWith('warn')),
      warns,
    )
    assert.deepEqual(audits, [
      {
        event: 'desktop_bootstrap.denied',
        request_id: 'request-1',
        reason,
        sub: 'u1',
        email: undefined,
      },
    ])
  })
}

test('bootstrap: desktop and code of the base opt everybody in', async () => {
  const policies: Policy[] = [
    { match: { groups: ['a'] } },
    { code: {}, desktop: { chatTabEnabled: true } },
  ]
  const { body } = await ask(policies, caller('a'))
  assert.equal(body.chatTabEnabled, true)
  assert.equal(body.inferenceGatewayManagedClaudeCode, true)
})

test('bootstrap: a JSON protocol in the environment is told, for one signal or for all', async () => {
  const telemetry = { forward_to: [], resource_attributes: {} }
  const protocol = async (env: Record<string, string>): Promise<string> =>
    (await ask([{ cli: { env }, desktop: {} }], caller(), { telemetry })).body.otlpProtocol
  assert.equal(await protocol({}), 'http/protobuf')
  assert.equal(await protocol({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }), 'http/json')
  assert.equal(await protocol({ OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' }), 'http/json')
  assert.equal(await protocol({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), 'http/protobuf')
})

test('bootstrap: the long context is not offered where the environment turns it off', async () => {
  const offered = async (value: unknown): Promise<boolean> => {
    const cli = { env: { CLAUDE_CODE_DISABLE_1M_CONTEXT: value }, availableModels: ['opus'] }
    const { body } = await ask([{ cli, desktop: {} }])
    return body.inferenceModels.some((model: object) => 'supports1m' in model)
  }
  for (const value of ['1', 1, 'true', true, 'YES', 'on']) assert.equal(await offered(value), false)
  for (const value of ['0', '', 'false', null, undefined]) assert.equal(await offered(value), true)
})

test('bootstrap: a model listed a second time with [1m] has the long context (F249)', async () => {
  const own = (id: string, anthropic: string) => ({ id, upstream_model: { anthropic } })
  const models = [
    own('mine', 'unknown-to-us'),
    own('Mine[1m]', 'unknown-to-us'),
    own('other', 'unknown-to-us'),
    own('alone[1m]', 'unknown-to-us'),
  ]
  const shown = async (env: Record<string, string>, availableModels?: string[]) => {
    const cli = availableModels === undefined ? { env } : { env, availableModels }
    const setup = { models, builtIn: false }
    const { body } = await ask([{ cli, desktop: {} }], caller(), setup)
    return body.inferenceModels.map(
      ({ name, supports1m = false }: { name: string; supports1m?: boolean }) =>
        name + (supports1m ? '+' : ''),
    )
  }
  assert.deepEqual(await shown({}), ['mine+', 'Mine[1m]', 'other', 'alone[1m]'])
  assert.deepEqual(
    await shown({ CLAUDE_CODE_DISABLE_1M_CONTEXT: '1' }),
    ['mine', 'Mine[1m]', 'other', 'alone[1m]'],
    'explicit entries stay',
  )
  assert.deepEqual(await shown({}, ['other']), ['other'])
})

test('bootstrap: nothing of env, hooks or scoped rules is sent', async () => {
  const cli = {
    env: { SECRET: 'x' },
    hooks: { Stop: [] },
    permissions: { deny: ['Bash(rm *)'], allow: ['Read'] },
    modelPricing: { multiplier: 2 },
  }
  const { body } = await ask([{ cli, desktop: {} }])
  assert.deepEqual(Object.keys(body), [
    'inferenceProvider',
    'inferenceGatewayBaseUrl',
    'inferenceCredentialKind',
    'inferenceModels',
    'expiresAt',
  ])
})
