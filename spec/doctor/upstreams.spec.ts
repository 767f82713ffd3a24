import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import { after, test } from 'node:test'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createAuthority } from '../support/certificates.ts'
import { askDoctor, assertOk, assertProblem, dead } from '../support/doctor.ts'
import { createFakeUpstream, type Behaviour } from '../support/fake-upstream.ts'
import { freePort } from '../support/gateway.ts'

const upstream = await createFakeUpstream()
after(() => upstream.close())

const api = { provider: 'anthropic', base_url: upstream.url, auth: { api_key: 'sk-doctor-1' } }
const bedrock = {
  provider: 'bedrock',
  region: 'eu-west-1',
  base_url: upstream.url,
  auth: { aws_bearer_token: 'bearer-1' },
}
async function ask(behaviour: Behaviour, entry: object = api, config: object = {}) {
  upstream.always(behaviour)
  return askDoctor({ config: { upstreams: [entry], ...config } })
}
const refusal = (status: number, message: string): Behaviour => ({
  status,
  body: JSON.stringify({ type: 'error', error: { type: 'x', message } }),
})

test('doctor upstreams: one word is counted, nothing is sent to a model', async () => {
  const before = upstream.requests.length
  const findings = await ask({ body: '{"input_tokens":8}' })
  assertOk(findings, 'upstream anthropic', /counted tokens as claude-.*nothing was spent/)
  const sent = upstream.requests.slice(before)
  assert.deepEqual(
    sent.map(({ method, url }) => `${method} ${url}`),
    ['POST /v1/messages/count_tokens'],
  )
  assert.equal(sent[0]?.headers['x-api-key'], 'sk-doctor-1')
})

test('doctor upstreams: a key that is refused fails with the words of the API', async () => {
  assertProblem(await ask(refusal(401, 'invalid x-api-key')), 'upstream anthropic', {
    result: 'fail',
    seen: /401.*invalid x-api-key/,
    fix: /replace the key/,
  })
})

test('doctor upstreams: a model that is not there, a denied one and a busy API are told apart', async () => {
  assertProblem(await ask(refusal(404, 'model: claude-x')), 'upstream anthropic', {
    result: 'fail',
    seen: /404/,
    fix: /enable claude-/,
  })
  assertProblem(await ask(refusal(403, 'not in this workspace')), 'upstream anthropic', {
    result: 'fail',
    seen: /403/,
    fix: /workspace/,
  })
  assertProblem(await ask(refusal(429, 'slow down')), 'upstream anthropic', {
    result: 'warn',
    seen: /429.*credentials are good/,
    fix: /limits/,
  })
  assertProblem(await ask(refusal(400, 'credit balance is too low')), 'upstream anthropic', {
    result: 'warn',
    seen: /credit balance is too low/,
    fix: /provider/,
  })
})

test('doctor upstreams: a Bedrock that only lacks CountTokens is reached and warns', async () => {
  const denied = { message: 'not authorized to perform: bedrock:CountTokens' }
  assertProblem(
    await ask({ status: 403, body: JSON.stringify(denied) }, bedrock),
    'upstream bedrock',
    {
      result: 'warn',
      seen: /reached, but it counts no tokens.*bedrock:CountTokens/,
      fix: /allow bedrock:CountTokens/,
    },
  )
})

test('doctor upstreams: a Bedrock that is not reached fails, whatever counting would have said', async () => {
  const away = { ...bedrock, base_url: dead }
  assertProblem(await ask({ body: '{}' }, away), 'upstream bedrock', {
    result: 'fail',
    seen: /^ECONNREFUSED/,
    fix: /firewall/,
  })
})

test('doctor upstreams: one that hangs is told by its name, beside one that is well', async () => {
  const hanging = await createFakeUpstream()
  after(() => hanging.close())
  hanging.always({ fault: 'stall-before-head' })
  upstream.always({ body: '{"input_tokens":8}' })
  const clock = {
    ...systemClock,
    // Only the doctor's own patience is short here.
    after: (ms: number, action: () => void) => systemClock.after(ms === 25_000 ? 500 : ms, action),
  }
  const findings = await askDoctor({
    config: { upstreams: [api, { ...api, name: 'other', base_url: hanging.url }] },
    clock,
  })
  assertOk(findings, 'upstream anthropic', /counted/)
  assertProblem(findings, 'upstream other', {
    result: 'fail',
    seen: /asking other timed out/,
    fix: /firewall/,
  })
})

test('doctor upstreams: keys that AWS does not know fail', async () => {
  const unknown = { message: 'The security token included in the request is invalid.' }
  assertProblem(
    await ask({ status: 403, body: JSON.stringify(unknown) }, bedrock),
    'upstream bedrock',
    {
      result: 'fail',
      seen: /security token/,
      fix: /AWS keys/,
    },
  )
})

test('doctor upstreams: a proxy that inspects TLS is recognised by its certificate', async () => {
  const pair = createAuthority({ after }).issue('IP:127.0.0.1')
  const inspector = createServer(pair, (_, response) => response.end('{}'))
  const port = await freePort()
  await new Promise<void>((resolve) => void inspector.listen(port, '127.0.0.1', resolve))
  after(() => void inspector.close())
  const entry = { ...api, base_url: `https://127.0.0.1:${port}` }
  assertProblem(await ask({ body: '{}' }, entry), 'upstream anthropic', {
    result: 'fail',
    seen: /certificate|UNABLE_TO/,
    fix: /authority of a TLS-inspecting proxy/,
  })
})

test('doctor upstreams: a federated identity without its file fails before anything is asked', async () => {
  const auth = {
    federation_rule_id: 'r',
    organization_id: 'o',
    identity_token_file: '/nowhere/token',
  }
  assertProblem(await ask({ body: '{}' }, { ...api, auth }), 'upstream anthropic', {
    result: 'fail',
    seen: /ENOENT/,
    fix: /make the credentials available/,
  })
})

test('doctor upstreams: load-test mode is said, and no upstream is asked', async () => {
  const before = upstream.requests.length
  const findings = await ask({ body: '{}' }, api, { load_test_mode: { enabled: true } })
  assertProblem(findings, 'upstreams', { result: 'warn', seen: /load_test_mode/, fix: /take/ })
  assert.equal(upstream.requests.length, before)
})
