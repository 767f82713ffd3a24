import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { askDoctor, assertOk, assertProblem, dead } from '../support/doctor.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'

const collector = await createFakeUpstream()
after(() => collector.close())
const ask = (forward: object = {}) =>
  askDoctor({ config: { telemetry: { forward_to: [{ url: collector.url, ...forward }] } } })

test('doctor collectors: each signal is sent one valid export with nothing in it', async () => {
  collector.always({ status: 200, body: '' })
  const findings = await ask({ logs: true, traces: true, headers: { 'x-key': 'k' } })
  for (const signal of ['metrics', 'logs', 'traces']) {
    assertOk(findings, `collector ${signal}`, /took an empty export/)
  }
  const paths = collector.requests.map(({ url }) => url).toSorted()
  assert.deepEqual(paths, ['/v1/logs', '/v1/metrics', '/v1/traces'])
  for (const { body, headers } of collector.requests) {
    assert.equal(headers['x-key'], 'k')
    assert.equal(headers['content-type'], 'application/x-protobuf')
    assert.deepEqual([...body], [0x0a, 0x00])
  }
})

test('doctor collectors: a refused credential, a wrong path and a wrong form each have their fix', async () => {
  collector.always({ status: 401 })
  assertProblem(await ask(), 'collector metrics', {
    result: 'fail',
    seen: /401/,
    fix: /credential/,
  })
  collector.always({ status: 404 })
  assertProblem(await ask(), 'collector metrics', {
    result: 'fail',
    seen: /404/,
    fix: /take \/v1\/metrics off/,
  })
  collector.always({ status: 415 })
  assertProblem(await ask(), 'collector metrics', { result: 'warn', seen: /415/, fix: /protobuf/ })
})

test('doctor webhook: it is reached and not asked for a verdict', async () => {
  collector.always({ status: 405 })
  const cri = (url: string) => ({
    cri: {
      enabled: true,
      org_allowlist: ['01234567-89ab-cdef-0123-456789abcdef'],
      audience: ['gateway'],
      policy: { webhook: { url } },
    },
  })
  const before = collector.requests.length
  const findings = await askDoctor({ config: cri(`${collector.url}/verdict`) })
  assertOk(findings, 'policy webhook', /answered 405.*not asked for a verdict/)
  assert.deepEqual(
    collector.requests.slice(before).map(({ method }) => method),
    ['HEAD'],
  )
  assertProblem(await askDoctor({ config: cri(dead) }), 'policy webhook', {
    result: 'fail',
    seen: /ECONNREFUSED/,
    fix: /fail_closed/,
  })
})

test('doctor proxy: one that takes no connections fails, and its credentials stay untold', async () => {
  const findings = await askDoctor({
    environment: { HTTPS_PROXY: 'http://user:proxy-secret@127.0.0.1:9' },
  })
  assertProblem(findings, 'forward proxy', {
    result: 'fail',
    seen: /127\.0\.0\.1:9: ECONNREFUSED/,
    fix: /HTTPS_PROXY/,
  })
  assert.ok(!JSON.stringify(findings).includes('proxy-secret'))
  const up = await askDoctor({ environment: { HTTPS_PROXY: collector.url } })
  assertOk(up, 'forward proxy', /takes connections/)
})
