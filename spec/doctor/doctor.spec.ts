import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createDatabase } from '../support/database.ts'
import { askDoctor, assertOk, assertProblem, dead } from '../support/doctor.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { freePort, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionSecret } from '../support/session-token.ts'

const root = join(import.meta.dirname, '..', '..')
const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
upstream.always({ body: '{"input_tokens":8}' })

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The real command. */
function runDoctor(config: object, args: readonly string[] = []): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-spec-'))
  const path = join(folder, 'gateway.yaml')
  writeFileSync(path, JSON.stringify(config))
  const child = spawn(
    process.execPath,
    [join(root, 'bin/gateway.ts'), 'doctor', '--config', path, ...args],
    {
      cwd: root,
      env: { PATH: process.env['PATH'], CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const text = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()))
  return new Promise((resolve) => {
    child.on('close', (code) => {
      rmSync(folder, { recursive: true })
      resolve({ code, ...text })
    })
  })
}

function wholeConfig(port: number): Record<string, unknown> {
  return {
    listen: { host: '127.0.0.1', port, public_url: `http://localhost:${port}` },
    oidc: {
      issuer: provider.issuer,
      client_id: 'gateway',
      client_secret: 'gateway-secret',
    },
    session: { jwt_secret: sessionSecret },
    store: { postgres_url: database.url },
    upstreams: [
      { provider: 'anthropic', base_url: upstream.url, auth: { api_key: 'sk-doctor-secret' } },
    ],
    telemetry: { forward_to: [{ url: upstream.url, metrics: true, logs: true }] },
  }
}

test('doctor: a deployment that is well has a table without failures, and exit code 0', async () => {
  const gateway = await startGateway(
    { after },
    { postgresUrl: database.url, issuer: provider.issuer, upstream: upstream.url },
  )
  const { code, stdout, stderr } = await runDoctor(wholeConfig(gateway.port))
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /^CHECK +RESULT +SEEN$/m)
  for (const check of [
    'configuration',
    'address of public_url',
    'DNS oidc.issuer',
    'listener port',
    'public_url as served',
    'IdP discovery',
    'IdP keys',
    'IdP redirect URI',
    'IdP client credentials',
    'clock beside the IdP',
    'Postgres rights',
    'Postgres writable',
    'clock beside Postgres',
    'upstream anthropic',
    'collector metrics',
    'collector logs',
  ]) {
    assert.match(stdout, new RegExp(`^${check} +ok `, 'm'), stdout)
  }
  assert.match(stdout, /, 0 failed\n$/)
})

test('doctor: nothing it says holds a secret of the file', async () => {
  const port = await freePort()
  const broken = {
    ...wholeConfig(port),
    store: { postgres_url: `postgres://gateway:pg-secret-1@127.0.0.1:9/none` },
    oidc: { issuer: dead, client_id: 'gateway', client_secret: 'oidc-secret-1' },
    telemetry: { forward_to: [{ url: dead, headers: { 'x-key': 'collector-secret-1' } }] },
  }
  const { code, stdout, stderr } = await runDoctor(broken, ['--json'])
  assert.equal(code, 1)
  const { findings } = JSON.parse(stdout)
  assert.ok(findings.some(({ result }: { result: string }) => result === 'fail'))
  assert.ok(findings.every((each: object) => 'check' in each && 'seen' in each))
  for (const secret of [
    'pg-secret',
    'oidc-secret',
    'collector-secret',
    'sk-doctor',
    sessionSecret,
  ]) {
    assert.ok(!(stdout + stderr).includes(secret), secret)
  }
})

test('doctor: a file with mistakes is told with what each key takes, and nothing is contacted', async () => {
  const findings = await askDoctor({ config: { listen: { port: 'x', public_url: 'ftp://x' } } })
  assert.ok(findings.every(({ check }) => check === 'configuration'))
  const [first] = findings
  assert.ok(first?.result === 'fail')
  assert.match(first.fix, /^give listen\./)
})

test('doctor: an environment variable without sense is a finding', async () => {
  const findings = await askDoctor({ environment: { CLAUDE_GATEWAY_LOG_LEVEL: 'loud' } })
  assertProblem(findings, 'environment', { result: 'warn', seen: /loud/, fix: /--help/ })
})

test('doctor: everything dead at once takes seconds, and each has its fix', async () => {
  const started = performance.now()
  const findings = await askDoctor({
    config: { telemetry: { forward_to: [{ url: dead }] } },
  })
  assert.ok(performance.now() - started < 40_000)
  assertProblem(findings, 'IdP discovery', {
    result: 'fail',
    seen: /ECONNREFUSED/,
    fix: /oidc\.issuer/,
  })
  assertProblem(findings, 'Postgres', {
    result: 'fail',
    seen: /ECONNREFUSED/,
    fix: /store\.postgres_url/,
  })
  assertProblem(findings, 'upstream anthropic', {
    result: 'fail',
    seen: /ECONNREFUSED/,
    fix: /firewall/,
  })
  assertProblem(findings, 'collector metrics', {
    result: 'fail',
    seen: /ECONNREFUSED/,
    fix: /4318/,
  })
  assertProblem(findings, 'public_url as served', {
    result: 'warn',
    seen: /ECONNREFUSED/,
    fix: /start the gateway/,
  })
  assertOk(findings, 'listener port', /is free/)
  assert.ok(findings.some(({ check, result }) => check === 'configuration' && result === 'ok'))
})
