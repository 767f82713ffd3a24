import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuseUnsupported } from '../lib/boot-checks.ts'
import { loadConfig } from '../lib/config.ts'
import { createLog } from '../lib/kernel/log.ts'
import { createFakeClock } from './support/fake-clock.ts'

function createLines() {
  const lines: string[] = []
  return { lines, ...createLog('info', (line) => lines.push(line), createFakeClock()) }
}

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
