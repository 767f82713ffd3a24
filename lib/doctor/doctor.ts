/**
 * `gateway doctor`: looks at everything that breaks real deployments, all at once, and says what
 * it saw and how to mend it. Asked by bin. It changes nothing anywhere, spends nothing, and every
 * check is bounded, so that the slowest thing in the network costs seconds.
 */
import type { LoadedConfig } from '../config.ts'
import { formatProblems } from '../config.ts'
import type { EnvironmentSettings } from '../config/environment.ts'
import { describeFailure } from '../egress/describe-failure.ts'
import { createEgresses } from '../egress/purpose.ts'
import type { Clock } from '../kernel/clock.ts'
import { checkAddresses } from './addresses.ts'
import { checkDatabase } from './database.ts'
import { failed, ok, warned, type Finding } from './finding.ts'
import { checkIdentityProvider } from './identity-provider.ts'
import { checkListener } from './listener.ts'
import { checkOperations } from './operations.ts'
import { bounded, type Check, type DoctorParts, resolveBySystem } from './parts.ts'
import { checkCollectors, checkMetadata, checkProxies, checkWebhook } from './services.ts'
import { checkUpstreams } from './upstreams.ts'

/** Above the bounds of every single step; somebody waits in front of a terminal. */
const checkMs = 60_000

const checks: readonly (readonly [name: string, check: Check])[] = [
  ['addresses', checkAddresses],
  ['listener', checkListener],
  ['metrics and audit', checkOperations],
  ['identity provider', checkIdentityProvider],
  ['Postgres', checkDatabase],
  ['upstreams', checkUpstreams],
  ['collectors', checkCollectors],
  ['policy webhook', checkWebhook],
  ['forward proxy', checkProxies],
  ['metadata service', checkMetadata],
]

export interface Patient {
  readonly loaded: LoadedConfig
  readonly settings: EnvironmentSettings
  /** Of the environment, as `readEnvironment` words them. */
  readonly warnings: readonly string[]
  readonly clock: Clock
  /** Only specs replace the system's resolver. */
  readonly resolve?: DoctorParts['resolve']
}

/** In a fixed order. Never rejects: what goes wrong is a finding. */
export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const { loaded, settings, clock, warnings, resolve = resolveBySystem } = patient
  const environment = warnings.map((text) =>
    warned('environment', text, 'gateway --help lists the variables and what they take'),
  )
  const configuration = judgeConfiguration(loaded)
  if (loaded.kind === 'invalid') return [...environment, ...configuration]
  const { config } = loaded
  const egresses = createEgresses({ ...settings, clock }, config.oidc)
  const parts: DoctorParts = { config, settings, egresses, clock, resolve }
  try {
    const found = await Promise.all(checks.map(([name, check]) => attempt(name, check, parts)))
    return [...environment, ...configuration, ...found.flat()]
  } finally {
    await egresses.close()
  }
}

async function attempt(
  name: string,
  check: Check,
  parts: DoctorParts,
): Promise<readonly Finding[]> {
  try {
    return await bounded(parts.clock, `checking ${name}`, checkMs, () => check(parts))
  } catch (error) {
    return [
      failed(name, describeFailure(error), 'this could not be looked at; mend what is named here'),
    ]
  }
}

function judgeConfiguration(loaded: LoadedConfig): readonly Finding[] {
  const check = 'configuration'
  const notes = loaded.warnings.map(({ path, line, text }) =>
    warned(
      check,
      `${path === '' ? '' : `${path}: `}${text}`,
      `line ${line}; docs/configuration.md has every key`,
    ),
  )
  if (loaded.kind === 'invalid') {
    const problems = loaded.problems.map((problem) =>
      failed(
        check,
        formatProblems([problem]),
        `give ${problem.path === '' ? 'it' : problem.path} ${problem.expected}`,
      ),
    )
    return [...problems, ...notes]
  }
  return [ok(check, `valid, sha256 ${loaded.sha256.slice(0, 12)}`), ...notes]
}
