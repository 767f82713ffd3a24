/**
 * Replaces the configuration of a running gateway: on SIGHUP, and when the file or one it names
 * has changed and stays as it is. Whatever is wrong with the new one, the one in use stays, and
 * the log says all of it; what only failed for now is tried again. One reload at a time; a request
 * for another one waits for its turn, and one under way when the gateway stops comes to nothing.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ConfigFiles } from './config-files.ts'
import type { Config, LoadedConfig } from './config.ts'
import { formatProblems } from './config.ts'
import type { Clock, Timer } from './kernel/clock.ts'
import { messageOf } from './kernel/errors.ts'
import type { Audit, Log } from './kernel/log.ts'

type Loaded = Extract<LoadedConfig, { kind: 'ok' }>

export interface ReloadParts {
  readonly files: ConfigFiles
  /** The configuration in use at first. */
  readonly initial: Loaded
  /** Makes all of a sound configuration; rejects with one line when the world is not as it says. */
  readonly prepare: (config: Config, isProviderNew: boolean) => Promise<Prepared>
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

/** A configuration that could be put in use. */
export interface Prepared {
  use(): void
  /** Gives back what it holds. */
  drop(): Promise<void>
}

export interface Reload {
  /** Loads and swaps, and logs what came of it. Never rejects. */
  now(reason: string): Promise<void>
  stop(): void
}

/** Whoever has changed a file looks for the effect within seconds; the files are small. */
const lookEveryMs = 2000

/** What only a restart can change. */
const lastingKeys: readonly (readonly [key: string, of: (config: Config) => unknown])[] = [
  ['listen.host', ({ listen }) => listen.host],
  ['listen.port', ({ listen }) => listen.port],
  ['listen.tls', ({ listen }) => listen.tls],
  ['store', ({ store }) => store],
  ['admin (there or not)', ({ admin }) => admin !== undefined],
  ['load_test_mode', ({ load_test_mode }) => load_test_mode],
  ['extensions.metrics', ({ extensions }) => extensions.metrics],
  ['extensions.audit', ({ extensions }) => extensions.audit],
]

/**
 * After a failure that is not the file's: what is on disk is what a restart would use, so it is
 * tried until it is in use, but a provider that is away for a day is not asked all the time.
 */
const firstRetryMs = 10_000
const lastRetryMs = 300_000

export function createReload(parts: ReloadParts): Reload {
  const { files, clock, log } = parts
  let inUse = parts.initial
  let tail = Promise.resolve()
  let stopped = false
  let retry: Timer | null = null
  let retryMs = firstRetryMs
  /** What the files held when they were last loaded or complained of. */
  let known = files.loaded
  /** What they held at the last look; a change counts when two looks agree. */
  let seen = known

  const reload = async (reason: string): Promise<void> => {
    if (stopped) return
    retry?.cancel()
    const loaded = files.load(clock.now())
    if (files.loaded !== known) retryMs = firstRetryMs
    known = files.loaded
    seen = known
    const result = await replace(reason, inUse, loaded, parts, () => stopped)
    if (result.kind === 'in-use') inUse = result.loaded
    if (result.kind !== 'failed') return
    log.warn(`reload: the same is tried again in ${retryMs / 1000} s`)
    retry = clock.after(retryMs, () => void now('another try'))
    retryMs = Math.min(retryMs * 2, lastRetryMs)
  }
  const now = (reason: string): Promise<void> => {
    tail = tail.then(() => reload(reason)).catch((error: unknown) => keepOld(reason, error, log))
    return tail
  }
  let looking = false
  const look = async (): Promise<void> => {
    const found = await files.fingerprint()
    const isSettled = found === seen
    seen = found
    if (found !== known && isSettled && !stopped) await now('a file has changed')
  }
  const timer = clock.every(lookEveryMs, () => {
    if (looking) return
    looking = true
    void look().finally(() => (looking = false)) // neither part of it rejects
  })
  return {
    now,
    stop() {
      stopped = true
      timer.cancel()
      retry?.cancel()
    },
  }
}

type Result =
  | { readonly kind: 'in-use'; readonly loaded: Loaded }
  | { readonly kind: 'unchanged' }
  /** The world was not as the file says; perhaps it is later. */
  | { readonly kind: 'failed' }

/** Throws, with one line for the operator, what no other try would change. */
async function replace(
  reason: string,
  old: Loaded,
  loaded: LoadedConfig,
  { files, prepare, log, audit }: ReloadParts,
  isStopped: () => boolean,
): Promise<Result> {
  if (loaded.kind === 'invalid') {
    for (const line of formatProblems(loaded.problems).split('\n')) log.error(line)
    throw new Error(`${files.path} has ${loaded.problems.length} mistake(s), see above`)
  }
  const changed = changedKeys(old.config, loaded.config)
  const tell = (): void => audit('config.load', { path: files.path, sha256: loaded.sha256 })
  if (changed.length === 0) {
    log.info(`reload (${reason}): the configuration is unchanged`)
    if (loaded.sha256 === old.sha256) return { kind: 'unchanged' }
    // A comment or the order of keys: who looks for the file by its hash in the audit finds it.
    tell()
    return { kind: 'in-use', loaded }
  }
  refuseLasting(old.config, loaded.config)
  const isProviderNew = !isDeepStrictEqual(old.config.oidc, loaded.config.oidc)
  try {
    const prepared = await prepare(loaded.config, isProviderNew)
    if (isStopped()) {
      await prepared.drop()
      throw new Error('the gateway is stopping')
    }
    prepared.use()
  } catch (error) {
    keepOld(reason, error, log)
    return isStopped() ? { kind: 'unchanged' } : { kind: 'failed' }
  }
  tell()
  log.info(`reload (${reason}): in use now, changed: ${changed.join(', ')}`)
  logNotices(loaded, log)
  return { kind: 'in-use', loaded }
}

function refuseLasting(old: Config, next: Config): void {
  const changed = lastingKeys.filter(([, of]) => !isDeepStrictEqual(of(old), of(next)))
  if (changed.length === 0) return
  const keys = changed.map(([key]) => key).join(', ')
  throw new Error(`${keys} cannot change while the gateway runs: restart it`)
}

/** What a sound configuration has to say to the operator once it is in use. */
export function logNotices({ notes, warnings }: Loaded, log: Log): void {
  for (const note of notes) log.info(note)
  for (const { path, text } of warnings) log.warn(path === '' ? text : `${path}: ${text}`)
}

/** Top-level keys that differ. */
function changedKeys(old: Config, next: Config): string[] {
  const [before, after]: Readonly<Record<string, unknown>>[] = [{ ...old }, { ...next }]
  return Object.keys({ ...before, ...after }).filter(
    (key) => !isDeepStrictEqual(before?.[key], after?.[key]),
  )
}

function keepOld(reason: string, error: unknown, log: Log): void {
  const what = messageOf(error)
  log.error(`reload (${reason}): the old configuration stays in use: ${what}`)
}
