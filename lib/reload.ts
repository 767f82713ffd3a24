/**
 * Replaces the configuration of a running gateway: on SIGHUP, and when the file or one it names
 * has changed and stays as it is. Whatever is wrong with the new one, the one in use stays, and
 * the log says all of it. One reload at a time; a request for another one waits for its turn.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ConfigFiles } from './config-files.ts'
import type { Config, LoadedConfig } from './config.ts'
import { formatProblems } from './config.ts'
import type { Clock } from './kernel/clock.ts'
import { messageOf } from './kernel/errors.ts'
import type { Audit, Log } from './kernel/log.ts'

type Loaded = Extract<LoadedConfig, { kind: 'ok' }>

export interface ReloadParts {
  readonly files: ConfigFiles
  /** The configuration in use at first. */
  readonly initial: Loaded
  /** Puts a sound configuration in use; rejects with one line when the world is not as it says. */
  readonly swap: (config: Config, isProviderNew: boolean) => Promise<void>
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
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

export function createReload(parts: ReloadParts): Reload {
  const { files, clock, log } = parts
  let inUse = parts.initial
  let tail = Promise.resolve()
  let stopped = false
  /** What the files held when they were last loaded or complained of. */
  let known = files.loaded
  /** What they held at the last look; a change counts when two looks agree. */
  let seen = known

  const reload = async (reason: string): Promise<void> => {
    if (stopped) return
    const loaded = files.load(clock.now())
    known = files.loaded
    seen = known
    const next = await replace(reason, inUse, loaded, parts)
    if (next !== null) inUse = next
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
    },
  }
}

/** The configuration now in use, null when it is still the old one. */
async function replace(
  reason: string,
  old: Loaded,
  loaded: LoadedConfig,
  { files, swap, log, audit }: ReloadParts,
): Promise<Loaded | null> {
  if (loaded.kind === 'invalid') {
    for (const line of formatProblems(loaded.problems).split('\n')) log.error(line)
    throw new Error(`${files.path} has ${loaded.problems.length} mistake(s), see above`)
  }
  const changed = changedKeys(old.config, loaded.config)
  if (changed.length === 0) {
    log.info(`reload (${reason}): the configuration is unchanged`)
    return null
  }
  const lasting = lastingKeys.filter(
    ([, of]) => !isDeepStrictEqual(of(old.config), of(loaded.config)),
  )
  if (lasting.length > 0) {
    throw new Error(
      `${lasting.map(([key]) => key).join(', ')} cannot change while the gateway runs: restart it`,
    )
  }
  await swap(loaded.config, !isDeepStrictEqual(old.config.oidc, loaded.config.oidc))
  audit('config.load', { path: files.path, sha256: loaded.sha256 })
  log.info(`reload (${reason}): in use now, changed: ${changed.join(', ')}`)
  logNotices(loaded, log)
  return loaded
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
