import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { brokenStore } from '../support/broken-store.ts'
import { publicUrl, startBench } from '../support/sign-in.ts'

const bench = await startBench({ after })
const post = { method: 'POST', path: '/oauth/device_authorization' }
const limits = (max: number, window_seconds = 600) => ({
  rate_limits: {
    device_authorization: { max, window_seconds },
    device_verify: { max: 1000, window_seconds },
  },
})

test('device authorization: the answer has the wire’s fields, order and headers', async () => {
  const { status, headers, text, json } = await bench.gateway().call('deviceAuthorization', post)
  assert.equal(status, 200)
  assert.deepEqual(headers, [
    ['Cache-Control', 'no-store'],
    ['Pragma', 'no-cache'],
    ['Content-Type', 'application/json;charset=utf-8'],
  ])
  assert.match(
    text,
    new RegExp(
      `^\\{"device_code":"[\\w-]{43}","user_code":"[A-Z]{4}-[A-Z]{4}",` +
        `"verification_uri":"${publicUrl}/device",` +
        `"verification_uri_complete":"${publicUrl}/device\\?user_code=[A-Z]{4}-[A-Z]{4}",` +
        `"expires_in":600,"interval":5\\}$`,
    ),
  )
  assert.equal(
    json['verification_uri_complete'],
    `${publicUrl}/device?user_code=${String(json['user_code'])}`,
  )
})

test('device authorization: the body is never read, whatever it is', async () => {
  for (const [type, body] of [
    ['application/json', '{"a":'],
    ['text/plain', 'garbage'],
    ['multipart/form-data; boundary=x', '--x'],
    ['application/x-www-form-urlencoded', `surface=${'x'.repeat(5000)}`],
  ] as const) {
    const headers = { 'content-type': type, origin: 'https://evil.example' }
    const { status } = await bench.gateway().call('deviceAuthorization', { ...post, headers, body })
    assert.equal(status, 200, type)
  }
})

test('device authorization: spoofed hosts change no address', async () => {
  const headers = {
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'http',
  }
  const { text } = await bench.gateway().call('deviceAuthorization', { ...post, headers })
  assert.doesNotMatch(text, /evil/)
})

test('device authorization: the operator’s notice is the last field, as it is', async () => {
  const gateway = bench.gateway({ login_notice: 'Use your corp account <b>x</b>' })
  const { text } = await gateway.call('deviceAuthorization', post)
  assert.match(text, /"interval":5,"login_notice":"Use your corp account <b>x<\/b>"\}$/)
})

test('device authorization: success is audited with the wire’s fields', async () => {
  const gateway = bench.gateway()
  await gateway.call('deviceAuthorization', {
    ...post,
    clientAddress: '192.0.2.9',
    requestId: 'r-1',
  })
  assert.equal(
    gateway.recorder.lastAudit('device.authorize'),
    '{"request_id":"r-1","result":"success","client_ip":"192.0.2.9"}',
  )
})

test('device authorization: over the limit it is 429 with the wait, audited and logged', async () => {
  const gateway = bench.gateway(limits(2))
  const from = { ...post, clientAddress: '192.0.2.20' }
  assert.equal((await gateway.call('deviceAuthorization', from)).status, 200)
  assert.equal((await gateway.call('deviceAuthorization', from)).status, 200)
  const third = await gateway.call('deviceAuthorization', from)
  assert.equal(third.status, 429)
  assert.equal(
    third.text,
    '{"error":"slow_down","error_description":"Too many sign-in attempts came from your network, which other people may share."}',
  )
  const wait = Number(third.header('retry-after'))
  assert.ok(wait > 590 && wait <= 600, String(wait))
  assert.match(gateway.recorder.lastAudit('device.authorize') ?? '', /"result":"rate_limited"/)
  assert.match(
    gateway.recorder.lines.join('\n'),
    /^warn sign-in refused for 192\.0\.2\.20: .*rate_limits\.device_authorization\.max$/m,
  )
  const elsewhere = { ...post, clientAddress: '192.0.2.21' }
  assert.equal((await gateway.call('deviceAuthorization', elsewhere)).status, 200)
})

test('device authorization: replicas count together, and refusals keep counting', async () => {
  const replicas = [bench.gateway(limits(3)), bench.gateway(limits(3))]
  const from = { ...post, clientAddress: '192.0.2.30' }
  const statuses: (number | undefined)[] = []
  for (let hit = 0; hit < 6; hit++) {
    statuses.push((await replicas[hit % 2]?.call('deviceAuthorization', from))?.status)
  }
  assert.deepEqual(statuses, [200, 200, 200, 429, 429, 429])
  const [row] = await bench.database.query('SELECT value FROM kv WHERE key = $1', [
    'rl:devauth:192.0.2.30',
  ])
  assert.equal(row?.['value'], '6')
})

test('device authorization: a store that is gone is 503 with a wait', async () => {
  const gateway = bench.gateway({ deps: brokenStore('refuses') })
  const reply = await gateway.call('deviceAuthorization', post)
  assert.equal(reply.status, 503)
  assert.equal(reply.text, '{"error":"temporarily_unavailable"}')
  assert.equal(reply.header('retry-after'), '5')
})

test('device authorization: a store that hangs is 503 within three seconds', async () => {
  const gateway = bench.gateway({ deps: brokenStore('hangs') })
  const asked = gateway.call('deviceAuthorization', post)
  await gateway.clock.advance(2999)
  assert.equal((await asked).status, 503)
})
