/**
 * The first contact with Postgres at boot: a few bounded attempts, because databases and
 * gateways are often started together, and an end with one line that says where it was looked.
 */
import { type Clock, sleep } from '../kernel/clock.ts'
import { GatewayError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { sqlState } from './failure.ts'
import type { Store } from './store.ts'
import { describeTarget, type Target } from './target.ts'

/** As the reference: about as long as an orchestrator takes to start the two together. */
const attemptsMax = 3
const pauseMs = 2000

/** Oldest server the statements are written for and tried on, as `server_version_num`. */
const oldestVersion = 110_000

export interface ConnectParts {
  readonly store: Store
  readonly target: Target
  /** Of one attempt, the TLS handshake and the sign-in included. */
  readonly connectTimeoutMs: number
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

/** Resolves once Postgres answered; rejects with the last line for the operator. */
export async function connectAtBoot(parts: ConnectParts): Promise<void> {
  const { store, target, connectTimeoutMs, clock, log, signal } = parts
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      const { rows } = await store.query<{ version: string }>(
        `SELECT current_setting('server_version_num') AS version`,
        [],
        // `prefer` may need a second connection; the statement itself is nothing.
        { timeoutMs: 2 * connectTimeoutMs + pauseMs },
      )
      refuseOldServer(Number(rows[0]?.version), target)
      return
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      const reason = error.detail ?? error.message
      if (isFinal(error)) {
        throw new Error(`Postgres refuses: ${reason} (${describeTarget(target)})`, { cause: error })
      }
      if (attempt === attemptsMax) {
        throw new Error(
          `could not connect to Postgres: ${reason} (${describeTarget(target)}); ` +
            'see store.postgres_url and store.connect_timeout_seconds',
          { cause: error },
        )
      }
      log.warn(
        `could not connect to Postgres, attempt ${attempt} of ${attemptsMax}: ${reason}; ` +
          `next in ${pauseMs / 1000} s`,
      )
      await sleep(clock, pauseMs, signal)
    }
  }
}

/**
 * A wrong role, password or database (SQLSTATE class 28 and 3D), or a parameter of the URL that
 * is none (42): waiting mends none of them.
 */
function isFinal(error: unknown): boolean {
  return /^(28|3D|42)/.test(sqlState(error) ?? '')
}

function refuseOldServer(version: number, target: Target): void {
  if (version >= oldestVersion) return
  const found = Math.floor(version / 10_000)
  throw new Error(`PostgreSQL 11 or newer is needed, this is ${found} (${describeTarget(target)})`)
}
