import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuseAddress, refuseHost, refuseUnresolved } from '../../lib/egress/address.ts'

const strict = { allowLoopback: false }
const loopbackAllowed = { allowLoopback: true }

/** How a URL's author may write a host; parsing makes of it what the guard sees. */
function hostOf(written: string): string {
  return new URL(`http://${written}/`).hostname
}

test('address: private networks, where operators keep their services, are allowed', () => {
  const addresses = [
    ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.127.255.254'],
    ['8.8.8.8', '1.1.1.1', '160.79.104.10', '240.0.0.1', '128.0.0.1', '126.255.255.255'],
    ['fc00::1', 'fd12:3456::1', '2606:4700::1', '2001:db8::1', '::2:0:0:1'],
    ['::ffff:10.0.0.1', '64:ff9b::8.8.8.8', '2002:808:808::1'],
  ]
  for (const address of addresses.flat())
    assert.equal(refuseAddress(address, strict), null, address)
})

test('address: loopback is refused in every spelling, and allowed in every one when configured', () => {
  const addresses = [
    ['127.0.0.1', '127.255.255.255', '127.0.0.53', '::1', '0:0:0:0:0:0:0:1'],
    ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:0:127.0.0.1', '::127.0.0.1'],
    ['64:ff9b::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::127.0.0.1', '2002:7f00:1::'],
  ]
  for (const address of addresses.flat()) {
    assert.equal(refuseAddress(address, strict), 'a loopback address', address)
    assert.equal(refuseAddress(address, loopbackAllowed), null, address)
  }
})

test('address: metadata, link-local, unspecified, multicast and broadcast are refused always', () => {
  const table: [what: string, addresses: (string | string[])[]][] = [
    [
      'a metadata address',
      [
        ['169.254.169.254', '169.254.170.2', '100.100.100.200', '192.0.0.192'],
        ['fd00:ec2::254', 'fd20:ce::254', 'FD00:EC2:0:0:0:0:0:254'],
        ['::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::'],
      ],
    ],
    [
      'a link-local address',
      ['169.254.0.1', '169.254.255.255', 'fe80::1', 'febf::1', 'fe80::1%eth0'],
    ],
    ['an unspecified address', ['0.0.0.0', '0.1.2.3', '::', '::ffff:0.0.0.0', '64:ff9b::']],
    ['a multicast address', ['224.0.0.1', '239.255.255.255', 'ff02::1', '::ffff:224.0.0.1']],
    ['a broadcast address', ['255.255.255.255', '::ffff:255.255.255.255']],
  ]
  for (const [what, addresses] of table) {
    for (const address of addresses.flat()) {
      assert.equal(refuseAddress(address, strict), what, address)
      assert.equal(refuseAddress(address, loopbackAllowed), what, address)
    }
  }
})

test('address: what is no address is refused', () => {
  for (const text of ['', 'localhost', '127.0.0.1.', '1.2.3', 'fe80:::1', '::1]']) {
    assert.notEqual(refuseAddress(text, loopbackAllowed), null, text)
  }
})

test('address: hosts written as decimal, hex, octal or short numbers are judged as what they mean', () => {
  const table: [written: string, what: string | null][] = [
    ['2130706433', 'a loopback address'],
    ['0x7f000001', 'a loopback address'],
    ['0x7f.1', 'a loopback address'],
    ['0177.0.0.1', 'a loopback address'],
    ['127.1', 'a loopback address'],
    ['127.0.0.1.', 'a loopback address'],
    ['１２７.0.0.1', 'a loopback address'],
    ['[::ffff:127.0.0.1]', 'a loopback address'],
    ['[0:0:0:0:0:0:0:1]', 'a loopback address'],
    ['2852039166', 'a metadata address'],
    ['0xa9fea9fe', 'a metadata address'],
    ['169.254.43518', 'a metadata address'],
    ['[fd00:0ec2::0254]', 'a metadata address'],
    ['0', 'an unspecified address'],
    ['3232235777', null],
  ]
  for (const [written, what] of table) {
    assert.equal(refuseHost(hostOf(written), strict), what, written)
  }
})

test('address: names of metadata services are refused, whatever they resolve to', () => {
  const names = [
    'metadata.google.internal',
    'METADATA.google.internal.',
    'metadata',
    'instance-data',
  ]
  for (const name of names) {
    assert.equal(refuseHost(hostOf(name), loopbackAllowed), 'a metadata host', name)
  }
  for (const name of ['metadata.example.com', 'my-metadata', 'localhost', 'api.anthropic.com']) {
    assert.equal(refuseHost(hostOf(name), strict), null, name)
  }
})

test('address: of a host that somebody else resolves, names of the machine itself are refused', () => {
  for (const host of [
    'localhost',
    'a.LOCALHOST.',
    'localhost.localdomain',
    'localhost6',
    'ip6-loopback',
  ]) {
    assert.equal(refuseUnresolved(host, { allowLoopback: false }), 'a loopback name', host)
    assert.equal(refuseUnresolved(host, { allowLoopback: true }), null, host)
  }
  for (const host of [
    'mylocalhost',
    'localhost.example.com',
    'api.example.com',
    '10.0.0.7',
    '[fd00::1]',
  ]) {
    assert.equal(refuseUnresolved(host, { allowLoopback: false }), null, host)
  }
  for (const allowLoopback of [true, false]) {
    assert.equal(
      refuseUnresolved('metadata.google.internal.', { allowLoopback }),
      'a metadata host',
    )
    assert.equal(refuseUnresolved('[fd00:ec2::254]', { allowLoopback }), 'a metadata address')
  }
})
