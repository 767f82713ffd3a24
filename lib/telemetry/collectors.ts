/**
 * The collectors of the process, kept from one configuration to the next: what waits for one, what
 * is under way to it and its pause belong to its address, however often the file is loaded. Made
 * once by `relay.ts`; all queues share one budget, so that reloads cannot multiply the memory.
 */
import type { ForwardConfig, TelemetryExtension } from './config.ts'
import { createDestination, type Destination, type DestinationDeps, nameOf } from './destination.ts'
import { createQueuedDestination, type QueuedDestination } from './queue.ts'

/** What waits now, for metrics. */
export interface Backlog {
  readonly bytes: number
  /** Reports by the destination's name in the log. */
  readonly reports: ReadonlyMap<string, number>
}

export interface Collectors {
  /**
   * From now on there are these. One whose address was there before goes on with what it has, its
   * new headers and signals; one that is not named any more gets what waits for it, and no more.
   */
  use(
    entries: readonly ForwardConfig[],
    extension: TelemetryExtension | undefined,
  ): readonly Destination[]
  /** All of them, those that are not named any more too. */
  all(): readonly Destination[]
  backlog(): Backlog
}

interface Collector {
  readonly address: string
  readonly name: string
  readonly destination: QueuedDestination
}

export function createCollectors(deps: DestinationDeps): Collectors {
  const { clock, log, lost } = deps
  const budget = { maxBytes: 0, retryMs: 0, heldBytes: 0 }
  let named: readonly Collector[] = []
  let ending: readonly Collector[] = []

  const make = (entry: ForwardConfig): Collector => {
    const inner = createDestination(deps, entry)
    const name = nameOf(entry)
    const destination = createQueuedDestination(inner, { name, budget, clock, log, lost })
    return { address: entry.url, name, destination }
  }
  return {
    use(entries, extension) {
      budget.maxBytes = extension?.queue_bytes ?? 0
      budget.retryMs = (extension?.retry_seconds ?? 0) * 1000
      const known = [...named, ...ending]
      named = entries.map((entry) => {
        const at = known.findIndex(({ address }) => address === entry.url)
        const [found = make(entry)] = at < 0 ? [] : known.splice(at, 1)
        found.destination.configure(entry)
        return found
      })
      // Those that have nothing left are forgotten here: between two loads they cost nothing.
      ending = known.filter(({ destination }) => !destination.isIdle)
      return named.map(({ destination }) => destination)
    },
    all: () => [...named, ...ending].map(({ destination }) => destination),
    backlog() {
      const reports = new Map<string, number>()
      for (const { name, destination } of [...named, ...ending]) {
        reports.set(name, (reports.get(name) ?? 0) + destination.waiting)
      }
      return { bytes: budget.heldBytes, reports }
    },
  }
}
