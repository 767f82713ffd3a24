/**
 * What every check of the doctor is given: the checked configuration and the gateway's own ways
 * out, so that what is tried here is what will be used. Made once by `doctor.ts`.
 */
import { lookup } from 'node:dns/promises'
import type { Config } from '../config.ts'
import type { EnvironmentSettings } from '../config/environment.ts'
import type { Egresses } from '../egress/purpose.ts'
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Finding } from './finding.ts'

export interface DoctorParts {
  readonly config: Config
  readonly settings: EnvironmentSettings
  readonly egresses: Egresses
  readonly clock: Clock
  /** All addresses of a name, as the system resolves it. */
  readonly resolve: (hostname: string) => Promise<readonly string[]>
}

/** The host of a URL without the brackets of an IPv6 address. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

/** Who asks, where somebody must. */
export const doctor: Caller = {
  sub: 'gateway-doctor',
  email: undefined,
  name: undefined,
  groups: [],
  expiresAt: Number.MAX_SAFE_INTEGER,
}

/** Looks at one area. May reject: that is a finding too. */
export type Check = (parts: DoctorParts) => Promise<readonly Finding[]>

export function resolveBySystem(hostname: string): Promise<readonly string[]> {
  return lookup(hostname, { all: true }).then((found) => found.map(({ address }) => address))
}

/** Settles like `work`, which is told to stop, or rejects when the time is over first. */
export async function bounded<T>(
  clock: Clock,
  what: string,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  const { promise: end, reject } = Promise.withResolvers<never>()
  const timer = clock.after(ms, () => {
    const error = new DeadlineExceeded(what, ms)
    limit.abort(error)
    reject(error)
  })
  try {
    return await Promise.race([work(limit.signal), end])
  } finally {
    timer.cancel()
  }
}

/** A log that is kept: the product's own parts say there what they met. */
export function createMemoryLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = []
  const write = (text: string): void => {
    // A part that repeats itself must not fill the memory; the first lines say what is wrong.
    if (lines.length < 100) lines.push(text)
  }
  return {
    log: { debug: () => {}, info: () => {}, warn: write, error: write, debugs: false },
    lines,
  }
}
