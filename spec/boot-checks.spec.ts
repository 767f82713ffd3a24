import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuseUnserved, refuseUnsupported } from '../lib/boot-checks.ts'
import { loadConfig } from '../lib/config.ts'
import { createLog } from '../lib/kernel/log.ts'
import type { Upstreams } from '../lib/upstream/registry.ts'
import { createFakeClock } from './support/fake-clock.ts'

function createLines() {
  const lines: string[] = []
  return { lines, ...createLog('info', (line) => lines.push(line), createFakeClock()) }
}

function upstreams(served: number, ...unserved: string[]): Upstreams {
  const one = {
    name: 'first',
    provider: 'anthropic',
    send: () => Promise.resolve({ kind: 'client-gone' as const }),
    close: () => Promise.resolve(),
  }
  return {
    served: Array.from({ length: served }, () => one),
    unserved: unserved.map((name) => ({ name, what: 'provider x' })),
  }
}

test('boot checks: upstreams without code are named and skipped while another one serves', () => {
  const { lines, log } = createLines()
  refuseUnserved(upstreams(1, 'b1', 'v1'), log)
  assert.match(lines.join(''), / warn .*skipped: b1 \(provider x\), v1 \(provider x\)/)
  refuseUnserved(upstreams(1), log)
  assert.equal(lines.length, 1)
})

test('boot checks: no served upstream at all ends the boot', () => {
  const { log } = createLines()
  assert.throws(() => refuseUnserved(upstreams(0, 'b1'), log), /no upstream .*b1 \(provider x\)/)
})

test('boot checks: a plain configuration sets nothing that this version lacks', () => {
  const { lines, log } = createLines()
  const file = {
    listen: { host: '127.0.0.1', port: 0 },
    oidc: { issuer: 'https://idp.example.com', client_id: 'gw', client_secret: 's' },
    session: { jwt_secret: '0123456789abcdef0123456789abcdef0123456789abcdef' },
    store: { postgres_url: 'postgres://db/gw' },
    upstreams: [{ provider: 'anthropic', auth: { api_key: 'k' } }],
  }
  const loaded = loadConfig({
    path: 'gateway.yaml',
    environment: {},
    now: Date.now(),
    readFile: () => Buffer.from(JSON.stringify(file)),
  })
  assert.ok(loaded.kind === 'ok')
  refuseUnsupported(loaded.config, log)
  assert.deepEqual(lines, [])
})
