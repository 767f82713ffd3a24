import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { brokenStore } from '../support/broken-store.ts'
import { startBench, type CalledReply, type Gateway } from '../support/sign-in.ts'

const bench = await startBench({ after })
function open(
  gateway: Gateway,
  userCode?: string,
  clientAddress = '192.0.2.1',
): Promise<CalledReply> {
  const query =
    userCode === undefined ? '' : `?${new URLSearchParams({ user_code: userCode }).toString()}`
  return gateway.call('devicePage', { path: '/device', query, clientAddress })
}

test('device page: without a code it asks for one', async () => {
  const { status, text, headers } = await open(bench.gateway())
  assert.equal(status, 200)
  assert.match(text, /<label for="user_code">/)
  assert.deepEqual(headers, [
    ['Content-Type', 'text/html; charset=utf-8'],
    [
      'Content-Security-Policy',
      `default-src 'none'; style-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'; form-action 'self' ${bench.provider.issuer}; base-uri 'none'`,
    ],
    ['Cache-Control', 'no-store'],
    ['Pragma', 'no-cache'],
  ])
  assert.match((await open(bench.gateway(), '')).text, /<label for="user_code">/)
})

test('device page: with the code of a link it shows who asked, from where and when', async () => {
  const gateway = bench.gateway()
  const { userCode } = await gateway.begin('198.51.100.7')
  await gateway.clock.advance(120_000)
  const { text } = await open(gateway, userCode)
  assert.match(text, new RegExp(`class="code">${userCode}<`))
  assert.match(text, /<code>198\.51\.100\.7<\/code>/)
  assert.match(text, /2 minutes ago/)
})

test('device page: a code of nobody gets the same page without details', async () => {
  const { status, text } = await open(bench.gateway(), 'BBBB-BBBB')
  assert.equal(status, 200)
  assert.match(text, /class="code">BBBB-BBBB</)
  assert.doesNotMatch(text, /Asked for/)
})

test('device page: a code is echoed escaped and at bounded length', async () => {
  const { text } = await open(bench.gateway(), '<script>alert(1)</script>')
  assert.doesNotMatch(text, /<script/)
  assert.match(text, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/)
  const long = await open(bench.gateway(), 'B'.repeat(10_000))
  assert.match(long.text, />B{40}</)
})

test('device page: it sets no cookie and changes nothing', async () => {
  const gateway = bench.gateway()
  const { deviceCode, userCode } = await gateway.begin()
  for (let visit = 0; visit < 15; visit++) {
    assert.equal((await open(gateway, userCode)).header('set-cookie'), undefined)
  }
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"authorization_pending"}')
  assert.deepEqual(gateway.recorder.lastAudit('device.verify'), undefined)
})

test('device page: guessing codes by it ends after twenty looks an address, the page does not', async () => {
  const gateway = bench.gateway()
  const { userCode } = await gateway.begin()
  for (let look = 0; look < 20; look++) await open(gateway, 'BBBB-BBBB', '192.0.2.66')
  const blind = await open(gateway, userCode, '192.0.2.66')
  assert.equal(blind.status, 200)
  assert.doesNotMatch(blind.text, /Asked for/)
  assert.match((await open(gateway, userCode, '192.0.2.67')).text, /Asked for/)
  await gateway.clock.advance(599_000)
  assert.doesNotMatch((await open(gateway, userCode, '192.0.2.66')).text, /Asked for/)
  const { userCode: later } = await gateway.begin()
  await gateway.clock.advance(1000)
  assert.match((await open(gateway, later, '192.0.2.66')).text, /Asked for/, 'a new window')
})

test('device page: without the store it shows the code alone, soon', async () => {
  const gone = bench.gateway({ deps: brokenStore('refuses') })
  const { status, text } = await open(gone, 'BCDF-GHJK')
  assert.equal(status, 200)
  assert.match(text, /BCDF-GHJK/)

  const hanging = bench.gateway({ deps: brokenStore('hangs') })
  await hanging.identity.ready()
  const waiting = open(hanging, 'BCDF-GHJK')
  await new Promise((resolve) => setImmediate(resolve))
  await hanging.clock.advance(1000)
  assert.equal((await waiting).status, 200)
})

test('device page: the operator’s notice names the host and is escaped', async () => {
  const gateway = bench.gateway({ login_notice: 'Use <i>work</i>' })
  for (const userCode of [undefined, 'BCDF-GHJK']) {
    const { text } = await open(gateway, userCode)
    assert.match(text, /Notice from gw\.example\.com:<\/strong> Use &lt;i&gt;work&lt;\/i&gt;/)
  }
})
