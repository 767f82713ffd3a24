/**
 * Reads a `.cpuprofile` of V8 and says where the time went: functions by self time, and the shares
 * that belong to none. `top-functions.ts` prints it. Pure. Node has viewers for its own tick logs
 * only, and the viewers of these files are browser pages: none prints a table to compare.
 */

export interface FunctionTime {
  readonly name: string
  /** File and line, or `native` for what V8 and node have built in. */
  readonly place: string
  readonly milliseconds: number
}

export interface ProfileSummary {
  /**
   * Everything but waiting for events, milliseconds; shares are of this. By the wall clock: on a
   * busy machine it contains waiting for a processor.
   */
  readonly busyMs: number
  readonly idleMs: number
  readonly collectorMs: number
  /** Outside of JavaScript: system calls, node's own C++, the event loop. */
  readonly programMs: number
  /** By self time, the longest first. */
  readonly functions: readonly FunctionTime[]
}

interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[]
  /** Node ids, one a sample. */
  readonly samples: readonly number[]
  /** Microseconds before each sample, since the one before it. */
  readonly timeDeltas: readonly number[]
}

const microseconds = 1e6

/** `fromSeconds` leaves out the start of the process. Throws when `text` is no CPU profile. */
export function summarise(text: string, fromSeconds: number): ProfileSummary {
  const { nodes, samples, timeDeltas } = parseProfile(text)
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const times = new Map<string, { name: string; place: string; milliseconds: number }>()
  let at = 0
  for (const [i, id] of samples.entries()) {
    at += timeDeltas[i] ?? 0
    // A sample stands for the time until the next one; what follows the last is unknown.
    const lasted = timeDeltas[i + 1]
    const frame = frames.get(id)
    if (lasted === undefined || frame === undefined || at < fromSeconds * microseconds) continue
    const name = frame.functionName === '' ? '(anonymous)' : frame.functionName
    const place = placeOf(frame)
    const key = `${name} ${place}`
    const entry = times.get(key) ?? { name, place, milliseconds: 0 }
    entry.milliseconds += lasted / 1000
    times.set(key, entry)
  }
  const take = (name: string): number => {
    const key = `${name} native`
    const milliseconds = times.get(key)?.milliseconds ?? 0
    times.delete(key)
    return milliseconds
  }
  const idleMs = take('(idle)')
  const collectorMs = take('(garbage collector)')
  const programMs = take('(program)')
  const functions = [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds)
  const inFunctions = functions.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  return {
    busyMs: collectorMs + programMs + inFunctions,
    idleMs,
    collectorMs,
    programMs,
    functions,
  }
}

/** Markdown: the `count` longest, then what is no function. */
export function renderSummary(summary: ProfileSummary, count: number): string {
  const { busyMs, idleMs, collectorMs, programMs, functions } = summary
  const share = (milliseconds: number): string =>
    busyMs === 0 ? '–' : `${((100 * milliseconds) / busyMs).toFixed(1)} %`
  const top = functions.slice(0, count)
  const rest = functions.slice(count).reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  return [
    `Busy for ${(busyMs / 1000).toFixed(2)} s, idle for ${(idleMs / 1000).toFixed(2)} s.`,
    '',
    '| self | function | where |',
    '|---|---|---|',
    ...top.map(
      ({ name, place, milliseconds }) => `| ${share(milliseconds)} | \`${name}\` | ${place} |`,
    ),
    `| ${share(rest)} | ${functions.length - top.length} other functions | |`,
    `| ${share(programMs)} | no JavaScript: system calls, node's C++ | |`,
    `| ${share(collectorMs)} | garbage collector | |`,
  ].join('\n')
}

function placeOf({ url, lineNumber }: CallFrame): string {
  if (url === '') return 'native'
  const path = url.startsWith('node:') ? url : url.slice(url.lastIndexOf('/') + 1)
  return `${path}:${lineNumber + 1}`
}

function parseProfile(text: string): Profile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = null
  }
  if (typeof value === 'object' && value !== null) {
    const { nodes, samples, timeDeltas } = value as Partial<Record<keyof Profile, unknown>>
    // V8 wrote it; that the three lists are there tells it from any other JSON.
    if ([nodes, samples, timeDeltas].every(Array.isArray)) return value as Profile
  }
  throw new Error('not a CPU profile of V8')
}
