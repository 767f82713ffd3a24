import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClientAddressReader } from '../../lib/http/client-address.ts'
import type { ClientAddress } from '../../lib/http/served-exchange.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createLog } from '../../lib/kernel/log.ts'
import { request, send, openRoute, withGateway } from './gateway-under-test.ts'
import { text } from '../../lib/http/reply.ts'

function reader(...trusted: string[]): {
  read: (peer: string, forwarded?: string) => ClientAddress
  lines: string[]
} {
  const lines: string[] = []
  const { log } = createLog('debug', (line) => lines.push(line), systemClock)
  const read = createClientAddressReader(trusted, log)
  return { read: (peer, forwarded) => read(peer, forwarded), lines }
}

const proxy = '10.0.0.9'

test('client address: from a trusted proxy, the nearest untrusted hop sent the request', () => {
  const { read } = reader('10.0.0.0/8')
  for (const [forwarded, expected] of [
    ['1.2.3.4', '1.2.3.4'],
    ['1.2.3.4, 5.6.7.8', '5.6.7.8'],
    ['1.2.3.4, 10.1.1.1', '1.2.3.4'],
    ['9.9.9.9, 1.2.3.4, 10.1.1.1, 10.2.2.2', '1.2.3.4'],
    ['1.2.3.4:5555', '1.2.3.4'],
    ['[2001:db8::1]:44', '2001:db8::1'],
    ['[2001:DB8::1]', '2001:db8::1'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['1.2.3.4,,', '1.2.3.4'],
    [' 1.2.3.4 ,\t10.1.1.1', '1.2.3.4'],
  ] as const) {
    assert.deepEqual(read(proxy, forwarded), { address: expected, unreadableHop: null }, forwarded)
  }
})

test('client address: without a forwarded header it is the peer', () => {
  assert.deepEqual(reader('10.0.0.0/8').read(proxy), { address: proxy, unreadableHop: null })
})

test('client address: when every hop is a trusted proxy it is the peer', () => {
  const { read } = reader('10.0.0.0/8')
  assert.deepEqual(read(proxy, '10.3.3.3, 10.1.1.1'), { address: proxy, unreadableHop: null })
  assert.deepEqual(read(proxy, ' , '), { address: proxy, unreadableHop: null })
})

test('client address: a hop that is no address makes it the peer, and is named', () => {
  const { read } = reader('10.0.0.0/8')
  for (const [forwarded, hop] of [
    ['garbage', 'garbage'],
    ['1.2.3.4, garbage', 'garbage'],
    ['garbage, 10.1.1.1', 'garbage'],
    ['unknown', 'unknown'],
    ['1.2.3.4:port', '1.2.3.4:port'],
    ['[::1', '[::1'],
    ['for=1.2.3.4', 'for=1.2.3.4'],
  ] as const) {
    assert.deepEqual(read(proxy, forwarded), { address: proxy, unreadableHop: hop }, forwarded)
  }
})

test('client address: what stands left of the answer is never read', () => {
  const { read } = reader('10.0.0.0/8')
  assert.deepEqual(read(proxy, 'garbage, 1.2.3.4'), { address: '1.2.3.4', unreadableHop: null })
})

test('client address: a header from an untrusted peer is somebody’s claim and counts nothing', () => {
  const { read } = reader('10.0.0.0/8')
  assert.deepEqual(read('203.0.113.5', '1.2.3.4'), { address: '203.0.113.5', unreadableHop: null })
})

test('client address: a chain without end is not walked without end', () => {
  const { read } = reader('10.0.0.0/8')
  const chain = Array.from({ length: 65 }, () => '10.1.1.1').join(',')
  assert.deepEqual(read(proxy, `1.2.3.4,${chain}`), { address: proxy, unreadableHop: '10.1.1.1' })
  const longest = Array.from({ length: 63 }, () => '10.1.1.1').join(',')
  assert.equal(read(proxy, `1.2.3.4,${longest}`).address, '1.2.3.4')
})

test('client address: without trusted proxies the header is ignored, with one warning', () => {
  const { read, lines } = reader()
  assert.equal(read('203.0.113.5').address, '203.0.113.5')
  assert.deepEqual(lines, [])
  assert.equal(read('203.0.113.5', '1.2.3.4').address, '203.0.113.5')
  assert.equal(read('203.0.113.6', 'garbage').unreadableHop, null)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /warn .*X-Forwarded-For.*203\.0\.113\.5.*listen\.trusted_proxies/)
})

test('client address: several header lines are one list, in order', async () => {
  const routes = [openRoute('/who', (exchange) => text(200, exchange.clientAddress))]
  await withGateway({ routes, trusted_proxies: ['127.0.0.1', '10.0.0.0/8'] }, async ({ port }) => {
    const ask = (...lines: string[]): Promise<string> =>
      send(port, request('GET', '/who', ...lines, 'Connection: close'))
    assert.match(
      await ask('X-Forwarded-For: 1.2.3.4', 'X-Forwarded-For: 10.1.1.1'),
      /\r\n1\.2\.3\.4$|1\.2\.3\.4$/,
    )
    assert.match(await ask('X-Forwarded-For: 1.2.3.4', 'x-forwarded-for: 5.6.7.8'), /5\.6\.7\.8$/)
    assert.match(await ask('X-Real-IP: 9.9.9.9', 'Forwarded: for=9.9.9.9'), /127\.0\.0\.1$/)
  })
})

test('client address: on a dual-stack listener an IPv4 peer is an IPv4 address', async (t) => {
  const routes = [openRoute('/who', (exchange) => text(200, exchange.clientAddress))]
  try {
    await withGateway({ routes, host: '::', deny_cidrs: ['198.51.100.0/24'] }, async ({ port }) => {
      const reply = await send(port, request('GET', '/who', 'Connection: close'))
      assert.match(reply, /\r\n127\.0\.0\.1$/)
    })
  } catch (error) {
    // Machines without IPv6 cannot bind `::`.
    if (!(error instanceof Error && /EAFNOSUPPORT|EADDRNOTAVAIL/.test(error.message))) throw error
    t.skip('no IPv6 here')
  }
})
