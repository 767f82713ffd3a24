import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { formatProblems, loadConfig } from '../../lib/config.ts'
import type { Environment } from '../../lib/kernel/report.ts'
import { at, parseManifests } from '../support/manifests.ts'

const root = join(import.meta.dirname, '..', '..')
const deploy = join(root, 'deploy')
const folder = mkdtempSync(join(tmpdir(), 'deploy-spec-'))
after(() => rmSync(folder, { recursive: true }))

/** Credentials as the targets provide them. */
const secrets = {
  OIDC_CLIENT_SECRET: 'oidc-client-secret',
  JWT_SECRET: 'a-jwt-secret-of-more-than-thirty-two-characters',
  POSTGRES_PASSWORD: 'postgres-password',
  ANTHROPIC_API_KEY: 'anthropic-api-key',
}
for (const [name, value] of Object.entries(secrets)) {
  writeFileSync(join(folder, name.toLowerCase().replaceAll('_', '-')), value)
}

const files = readdirSync(deploy, { recursive: true, encoding: 'utf8' })
  .filter((path) => /(^|\/)gateway(\.with-key)?\.yaml$/.test(path))
  .toSorted()

function prepare(text: string, name: string): { path: string; environment: Environment } {
  const path = join(folder, `${name.replaceAll('/', '_')}.checked.yaml`)
  writeFileSync(path, text.replaceAll('/run/credentials/apps-gateway.service', folder))
  const isLocal = text.includes('http://localhost')
  return {
    path,
    environment: { ...secrets, ...(isLocal && { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' }) },
  }
}

/** What `gateway check` does, without a process for each file. */
function check(text: string, name: string): void {
  const loaded = loadConfig({ ...prepare(text, name), now: Date.now() })
  assert.equal(
    loaded.kind === 'invalid' ? formatProblems(loaded.problems) : '',
    '',
    `deploy/${name}`,
  )
}

test('deploy: every target comes with a configuration', () => {
  assert.deepEqual(files, [
    'cloud-run/gateway.yaml',
    'compose/gateway.with-key.yaml',
    'compose/gateway.yaml',
    'ecs/gateway.yaml',
    'kubernetes/base/gateway.yaml',
    'kubernetes/overlays/aws/gateway.yaml',
    'kubernetes/overlays/azure/gateway.yaml',
    'kubernetes/overlays/gcp/gateway.yaml',
    'systemd/gateway.yaml',
  ])
})

for (const file of files) {
  test(`deploy: gateway check passes deploy/${file}`, () => {
    check(readFileSync(join(deploy, file), 'utf8'), file)
  })
}

test('deploy: the command itself says so', async () => {
  const file = 'kubernetes/base/gateway.yaml'
  const { path, environment } = prepare(readFileSync(join(deploy, file), 'utf8'), file)
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(root, 'bin/gateway.ts'), 'check', '--config', path],
    { cwd: root, env: { PATH: process.env['PATH'], ...environment } },
  )
  assert.match(stdout, /is valid/)
})

test('deploy: a mistake in one of them would be seen', () => {
  const text = readFileSync(join(deploy, 'kubernetes/base/gateway.yaml'), 'utf8')
  assert.throws(() => check(text.replace('max_connections:', 'max_conections:'), 'mistake'), {
    message: /max_conections/,
  })
})

test('deploy: gateway check passes the configuration in the values of the chart', () => {
  const [values] = parseManifests(
    readFileSync(join(deploy, 'helm/apps-gateway/values.yaml'), 'utf8'),
  )
  check(String(at(values, 'config')), 'helm')
})

test('deploy: no file names a registry, and no secret is real', () => {
  for (const path of readdirSync(deploy, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ya?ml|json|tpl|service)$|Containerfile$/.test(path)) continue
    const text = readFileSync(join(deploy, path), 'utf8')
    assert.doesNotMatch(
      text,
      /\b(?:docker\.io|quay\.io|gcr\.io|ghcr\.io|\.pkg\.dev|dkr\.ecr)\b/,
      path,
    )
    assert.doesNotMatch(text, /sk-ant-|AKIA|-----BEGIN/, path)
  }
})
