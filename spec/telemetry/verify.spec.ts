/** Verified reports: formats, codings, and what is not passed on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { systemClock } from '../../lib/kernel/clock.ts'
import type { Export } from '../../lib/telemetry/destination.ts'
import { createVerifier, reportBytesMax } from '../../lib/telemetry/verify.ts'
import { alice } from '../support/ask.ts'
import { createRecorder } from '../support/recorder.ts'
import { attribute, decode, encode } from './otlp-schema.ts'

const forged = { resourceLogs: [{ resource: { attributes: [attribute('user.id', 'mallory')] } }] }
const own = {
  resourceLogs: [
    {
      resource: {
        attributes: [
          attribute('user.id', 'u-alice'),
          attribute('user.email', 'alice@example.com'),
          attribute('user.groups', 'eng'),
        ],
      },
    },
  ],
}
const report = (changes: Partial<Export>): Export => ({
  signal: 'logs',
  body: encode('Logs', forged),
  contentType: 'application/x-protobuf',
  contentEncoding: undefined,
  ...changes,
})

function setUp() {
  const { log, lines } = createRecorder()
  return { verify: createVerifier({ clock: systemClock, log }), lines }
}

test('telemetry verify: both formats and the codings of exporters are read', async () => {
  const { verify, lines } = setUp()
  const plain = encode('Logs', forged)
  for (const [body, contentEncoding] of [
    [plain, undefined],
    [plain, 'identity'],
    [gzipSync(plain), 'gzip'],
    [deflateSync(plain), 'deflate'],
  ] as const) {
    const verified = await verify(report({ body, contentEncoding }), alice)
    assert.ok(verified !== null)
    assert.equal(verified.contentEncoding, undefined)
    assert.deepEqual(decode('Logs', verified.body), own)
  }
  const contentType = 'Application/JSON; charset=utf-8'
  const body = Buffer.from(JSON.stringify(forged))
  const verified = await verify(report({ contentType, body }), alice)
  assert.deepEqual(JSON.parse(Buffer.from(verified?.body ?? []).toString()), own)
  assert.deepEqual(lines, [])
})

test('telemetry verify: what cannot be read is not passed on, and why is said without quoting it', async () => {
  const plain = encode('Logs', forged)
  for (const [changes, reason] of [
    [{ body: plain.subarray(0, 10) }, /dropped 1 report\(s\).*for: .+verify_identity/],
    [{ contentType: 'text/plain' }, /neither protobuf nor JSON/],
    [{ contentType: 'application/json', body: Buffer.from('secret') }, /for: not JSON/],
    [{ body: brotliCompressSync(plain), contentEncoding: 'br' }, /unknown content coding/],
    [{ contentEncoding: 'gzip' }, /dropped 1/],
    [{ body: new Uint8Array(reportBytesMax + 1) }, /above 4194304 bytes/],
    [{ body: gzipSync(new Uint8Array(reportBytesMax + 1)), contentEncoding: 'gzip' }, /dropped 1/],
  ] as const) {
    const { verify, lines } = setUp()
    assert.equal(await verify(report(changes), alice), null, String(reason))
    assert.match(lines.join(), reason)
    assert.doesNotMatch(lines.join(), /secret/)
  }
})
