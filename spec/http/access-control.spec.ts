import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPublicClientNotice } from '../../lib/http/access-control.ts'
import type { Route } from '../../lib/http/router.ts'
import { text } from '../../lib/http/reply.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createLog } from '../../lib/kernel/log.ts'
import { makeServedExchange } from './served-exchange-parts.ts'
import { get, parseReply, withGateway } from './gateway-under-test.ts'

const routes: Route[] = [
  { access: 'open', method: 'GET', path: '/open', handle: () => text(200, 'in') },
]
const via = (address: string): string => `X-Forwarded-For: ${address}`
const trusted_proxies = ['127.0.0.1']

test('access control: without lists everybody is served', async () => {
  await withGateway({ routes }, async ({ port }) => {
    assert.match(await get(port, '/open'), /^HTTP\/1\.1 200 /)
  })
})

test('access control: an allow list serves those it names', async () => {
  await withGateway({ routes, trusted_proxies, allow_cidrs: ['10.0.0.0/8'] }, async ({ port }) => {
    assert.match(await get(port, '/open', via('10.2.3.4')), /^HTTP\/1\.1 200 /)
    assert.match(await get(port, '/open', via('::ffff:10.2.3.4')), /^HTTP\/1\.1 200 /)
  })
})

test('access control: a denied address is refused on every path, probes included', async () => {
  const settings = { routes, trusted_proxies, deny_cidrs: ['203.0.113.0/24'] }
  await withGateway(settings, async ({ port, audits }) => {
    for (const path of ['/open', '/healthz', '/readyz', '/nowhere']) {
      const { status, headers, body } = parseReply(await get(port, path, via('203.0.113.7')))
      assert.deepEqual([status, body], [403, 'forbidden'], path)
      assert.ok(
        headers.some(
          ([name, value]) => name === 'content-type' && value === 'text/plain;charset=utf-8',
        ),
      )
    }
    const [denied] = audits().filter(({ evt }) => evt === 'access.denied')
    const { request_id, ...rest } = denied ?? {}
    assert.match(String(request_id), /^[0-9a-f-]{36}$/)
    assert.deepEqual(rest, {
      evt: 'access.denied',
      reason: 'ip_denylist',
      client_ip: '203.0.113.7',
    })
  })
})

test('access control: who the allow list does not name is refused, except probes', async () => {
  const settings = { routes, trusted_proxies, allow_cidrs: ['10.0.0.0/8'] }
  await withGateway(settings, async ({ port, audits }) => {
    assert.match(await get(port, '/open', via('203.0.113.7')), /^HTTP\/1\.1 403 /)
    assert.match(await get(port, '/nowhere', via('203.0.113.7')), /^HTTP\/1\.1 403 /)
    assert.match(await get(port, '/healthz', via('203.0.113.7')), /^HTTP\/1\.1 200 /)
    assert.match(await get(port, '/readyz', via('203.0.113.7')), /^HTTP\/1\.1 200 /)
    const reasons = audits().filter(({ evt }) => evt === 'access.denied')
    assert.deepEqual(
      reasons.map(({ reason }) => reason),
      ['ip_not_allowlisted', 'ip_not_allowlisted'],
    )
  })
})

test('access control: deny beats allow', async () => {
  const settings = {
    routes,
    trusted_proxies,
    allow_cidrs: ['10.0.0.0/8'],
    deny_cidrs: ['10.6.6.6'],
  }
  await withGateway(settings, async ({ port }) => {
    assert.match(await get(port, '/open', via('10.6.6.6')), /^HTTP\/1\.1 403 /)
    assert.match(await get(port, '/open', via('10.6.6.7')), /^HTTP\/1\.1 200 /)
  })
})

test('access control: with a list in force, a forwarded chain that cannot be read is refused', async () => {
  const hop = `${'g'.repeat(100)}"\\`
  for (const list of [{ deny_cidrs: ['203.0.113.7'] }, { allow_cidrs: ['127.0.0.0/8'] }]) {
    await withGateway({ routes, trusted_proxies, ...list }, async ({ port, audits }) => {
      assert.match(await get(port, '/open', via(`10.0.0.1, ${hop}`)), /^HTTP\/1\.1 403 /)
      const [denied] = audits().filter(({ evt }) => evt === 'access.denied')
      assert.deepEqual(
        [denied?.['reason'], denied?.['client_ip'], denied?.['entry']],
        ['xff_unparseable', '127.0.0.1', 'g'.repeat(64)],
      )
    })
  }
})

test('access control: without a list, a chain that cannot be read falls back to the peer', async () => {
  await withGateway({ routes, trusted_proxies }, async ({ port, audits }) => {
    assert.match(await get(port, '/open', via('garbage')), /^HTTP\/1\.1 200 /)
    assert.deepEqual(audits(), [])
  })
})

test('access control: only an allow list in force leaves probes of unreadable origin alone', async () => {
  const allow = { routes, trusted_proxies, allow_cidrs: ['10.0.0.0/8'] }
  await withGateway(allow, async ({ port }) => {
    assert.match(await get(port, '/healthz', via('garbage')), /^HTTP\/1\.1 200 /)
  })
  const deny = { routes, trusted_proxies, deny_cidrs: ['10.0.0.0/8'] }
  await withGateway(deny, async ({ port }) => {
    assert.match(await get(port, '/healthz', via('garbage')), /^HTTP\/1\.1 403 /)
  })
})

test('public client: the first request from a public address is audited and warned of, once', () => {
  const lines: string[] = []
  const { log, audit } = createLog('debug', (line) => lines.push(line), systemClock)
  const notice = createPublicClientNotice(audit, log)
  const inside = [
    '10.1.2.3',
    '172.20.0.1',
    '192.168.1.1',
    '100.64.3.4',
    '127.0.0.1',
    '::1',
    'fd00::1',
  ]
  for (const address of inside) notice(makeServedExchange({ clientAddress: address }))
  assert.deepEqual(lines, [])
  const exchange = makeServedExchange({ clientAddress: '203.0.113.9' })
  notice(exchange)
  notice(makeServedExchange({ clientAddress: '203.0.113.10' }))
  assert.equal(lines.length, 2)
  const { ts: _, ...event } = JSON.parse(lines[0] ?? '')
  assert.deepEqual(event, {
    evt: 'access.public_client',
    request_id: exchange.requestId,
    client_ip: '203.0.113.9',
  })
  assert.match(lines[1] ?? '', /warn .*203\.0\.113\.9.*access_control\.allow_cidrs/)
})
