import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { checkOperations } from '../../lib/doctor/operations.ts'
import type { Finding } from '../../lib/doctor/finding.ts'
import { resolveBySystem } from '../../lib/doctor/parts.ts'
import { createEgresses } from '../../lib/egress/purpose.ts'
import { assertOk, assertProblem, loadPatient } from '../support/doctor.ts'
import { freePort } from '../support/gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'operations-spec-'))
after(() => rmSync(folder, { recursive: true }))
const key = join(folder, 'sign.pem')
writeFileSync(key, 'a key')

async function ask(extensions: object): Promise<readonly Finding[]> {
  const { loaded, settings, clock } = loadPatient({ config: { extensions } })
  assert.ok(loaded.kind === 'ok', JSON.stringify(loaded))
  const egresses = createEgresses({ ...settings, clock }, loaded.config.oidc)
  try {
    const { config } = loaded
    return await checkOperations({ config, settings, egresses, clock, resolve: resolveBySystem })
  } finally {
    await egresses.close()
  }
}

test('doctor operations: a free port and a folder to write in are good', async () => {
  const findings = await ask({
    metrics: { port: await freePort() },
    audit: { file: join(folder, 'audit.jsonl') },
  })
  assertOk(findings, 'metrics port', /is free/)
  assertOk(findings, 'audit file', /made at the first start/)
  assert.deepEqual(await ask({}), [])
})

test('doctor operations: a taken port warns, because it may be the gateway itself', async () => {
  const server = createServer()
  const port = await freePort()
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  after(() => void server.close())
  assertProblem(await ask({ metrics: { port } }), 'metrics port', {
    result: 'warn',
    seen: /is taken/,
    fix: /extensions\.metrics\.port/,
  })
})

test('doctor operations: an audit file without a folder and a key that is not there fail', async () => {
  const audit = {
    file: join(folder, 'none', 'audit.jsonl'),
    sign_key_file: join(folder, 'none.pem'),
  }
  const findings = await ask({ audit })
  assertProblem(findings, 'audit file', { result: 'fail', seen: /ENOENT/, fix: /its folder/ })
  assertProblem(findings, 'audit signing key', { result: 'fail', seen: /ENOENT/, fix: /read/ })
})

test('doctor operations: a file that is there is appended to, and not by the doctor', async () => {
  const file = join(folder, 'there.jsonl')
  writeFileSync(file, '')
  const findings = await ask({ audit: { file, sign_key_file: key } })
  assertOk(findings, 'audit file', /can be appended to/)
  assertOk(findings, 'audit signing key', /readable/)
})
