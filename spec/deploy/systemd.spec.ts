import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findTool } from '../support/tools.ts'

const deploy = join(import.meta.dirname, '..', '..', 'deploy', 'systemd')
const text = readFileSync(join(deploy, 'apps-gateway.service'), 'utf8')
const analyze = findTool('systemd-analyze', '--version')
const folder = mkdtempSync(join(tmpdir(), 'systemd-spec-'))
after(() => rmSync(folder, { recursive: true }))
// With a program that is there: that one is missing on this machine is no mistake of the unit.
const unit = join(folder, 'apps-gateway.service')
writeFileSync(
  unit,
  text
    .replaceAll('/opt/apps-gateway/node', process.execPath)
    .replace('file:///opt/apps-gateway/README.md', 'file:///dev/null'),
)

function run(...args: string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

test('deploy systemd: systemd takes every line of the unit', analyze, () => {
  const { status, said } = run('verify', '--man=no', unit)
  assert.equal(status, 0, said)
  assert.doesNotMatch(said, /Unknown|ignoring|Failed/i)
  const misspelt = join(folder, 'misspelt.service')
  writeFileSync(misspelt, readFileSync(unit, 'utf8').replace('ProtectHome=', 'ProtectHoem='))
  assert.match(run('verify', '--man=no', misspelt).said, /Unknown key.*ProtectHoem/)
})

test('deploy systemd: its exposure is rated low', analyze, () => {
  // Of 10; what is left is the network, which it is there for.
  const { status, said } = run('security', '--offline=true', '--threshold=20', unit)
  assert.equal(status, 0, said)
})

test('deploy systemd: every credential that the configuration reads is loaded', () => {
  const loaded = [...text.matchAll(/^LoadCredential=([\w-]+):/gm)].map(([, name]) => name)
  const config = readFileSync(join(deploy, 'gateway.yaml'), 'utf8')
  const read = [
    ...config.matchAll(/\$\{file:\/run\/credentials\/apps-gateway\.service\/([\w-]+)\}/g),
  ]
  assert.deepEqual(new Set(loaded), new Set(read.map(([, name]) => name)))
})

test('deploy systemd: stopping leaves time for the drain window', () => {
  const drainMs = Number(/DRAIN_TIMEOUT_MS=(\d+)/.exec(text)?.[1])
  const stopSeconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1])
  assert.ok(stopSeconds >= drainMs / 1000 + 5)
})

test('deploy systemd: Node is given what the launcher of a checkout gives it', () => {
  const launcher = readFileSync(join(deploy, '..', '..', 'bin', 'gateway'), 'utf8')
  const flags = [...launcher.matchAll(/^\w+=(--\S+)$/gm)].map(([, flag]) => flag)
  assert.equal(flags.length, 4)
  assert.ok(text.includes(`/node ${flags.join(' ')} /opt/apps-gateway/gateway.mjs`))
})
