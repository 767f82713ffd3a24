/**
 * The doctor at work on a configuration that is checked as bin does it, with a person's questions:
 * what did it say of this, and how is it mended?
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readEnvironment } from '../../lib/config/environment.ts'
import { loadConfig } from '../../lib/config.ts'
import { examine, type Patient } from '../../lib/doctor/doctor.ts'
import type { Finding } from '../../lib/doctor/finding.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { sessionSecret } from './session-token.ts'

export interface Asked {
  /** Merged over a file whose every host is dead, key by key; null removes one. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly environment?: Readonly<Record<string, string>>
  readonly clock?: Patient['clock']
  readonly resolve?: Patient['resolve']
}

/** Where nobody listens: the discard port. */
export const dead = 'http://127.0.0.1:9'

export async function askDoctor(asked: Asked): Promise<readonly Finding[]> {
  return examine({ ...loadPatient(asked), ...(asked.resolve && { resolve: asked.resolve }) })
}

/** What bin makes of a file and an environment. */
export function loadPatient(asked: Asked): Omit<Patient, 'resolve'> {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-spec-'))
  const path = join(folder, 'gateway.yaml')
  const merged: Record<string, unknown> = {
    listen: { host: '127.0.0.1', port: 0, public_url: 'http://localhost:9' },
    oidc: { issuer: dead, client_id: 'gateway', client_secret: 'gateway-secret' },
    session: { jwt_secret: sessionSecret },
    store: { postgres_url: 'postgres://127.0.0.1:9/none', connect_timeout_seconds: 1 },
    upstreams: [{ provider: 'anthropic', base_url: dead, auth: { api_key: 'sk-doctor-1' } }],
    ...asked.config,
  }
  const kept = Object.entries(merged).filter(([, value]) => value !== null)
  writeFileSync(path, JSON.stringify(Object.fromEntries(kept)))
  const environment = { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1', ...asked.environment }
  const clock = asked.clock ?? systemClock
  try {
    const loaded = loadConfig({ path, environment, now: clock.now() })
    return { loaded, ...readEnvironment(environment), clock }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The one finding of a check. */
export function find(findings: readonly Finding[], check: string): Finding {
  const found = findings.filter((finding) => finding.check === check)
  assert.equal(found.length, 1, `${check}: ${JSON.stringify(findings, null, 1)}`)
  const [only] = found
  assert.ok(only !== undefined)
  return only
}

export function assertOk(findings: readonly Finding[], check: string, seen: RegExp): void {
  const finding = find(findings, check)
  assert.equal(finding.result, 'ok', JSON.stringify(finding))
  assert.match(finding.seen, seen)
}

/** A problem of one kind, with what was seen and what mends it. */
export function assertProblem(
  findings: readonly Finding[],
  check: string,
  wanted: { readonly result: 'warn' | 'fail'; readonly seen: RegExp; readonly fix: RegExp },
): void {
  const finding = find(findings, check)
  assert.ok(finding.result !== 'ok', JSON.stringify(finding))
  assert.equal(finding.result, wanted.result, JSON.stringify(finding))
  assert.match(finding.seen, wanted.seen)
  assert.match(finding.fix, wanted.fix)
}
