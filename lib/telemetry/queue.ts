/**
 * Reports that a collector did not take yet, for `extensions.telemetry.queue_bytes`: kept within a
 * bound of memory and time, and tried again with growing pauses. One for each destination, all of
 * them within one budget, whose bounds a reload may move; it must never hold more than that, nor
 * keep a shutdown waiting.
 */
import { randomInt } from 'node:crypto'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { type Delivery, type Destination, type Export, heldBytesMax } from './destination.ts'
import { createLossNotice } from './loss-notice.ts'

export interface QueueBudget {
  /** 0: nothing waits. */
  maxBytes: number
  /** How long a report that is added from now on is tried again. */
  retryMs: number
  heldBytes: number
}

export interface QueueParts {
  /** The destination as the log names it. */
  readonly name: string
  readonly budget: QueueBudget
  readonly lost?: ((destination: string) => void) | undefined
  readonly clock: Clock
  readonly log: Log
  /** Never rejects. */
  readonly send: (report: Export) => Promise<Delivery>
}

export interface Queue {
  /** Reports that wait; while there are any, new ones line up behind them. */
  readonly length: number
  /** Nothing waits, and nothing is being tried. */
  readonly isIdle: boolean
  hasRoom(bytes: number): boolean
  /** Keeps a report for later, or counts it as lost. */
  add(report: Export): void
  /** Counts a report that was lost before it came here. */
  lose(): void
  /** One more try of everything, now; resolves with how many reports are given up for good. */
  finish(): Promise<number>
}

/** A collector's hiccup is over in about a second; one that restarts needs half a minute. */
const firstDelayMs = 1000
const lastDelayMs = 30_000

/** Tries under way once the first one went well: a backlog must shrink faster than it grows. */
const batchSize = 8

interface Waiting {
  readonly report: Export
  /** `clock.elapsed()` at which it is given up. */
  readonly until: number
}

/** What waits, with its memory on the budget until it is settled or given up. */
function createBacklog({ budget, clock }: QueueParts, lose: () => void) {
  const waiting: Waiting[] = []
  const release = ({ report }: Waiting): void => {
    budget.heldBytes -= report.body.length
  }
  return {
    waiting,
    release,
    add: (report: Export): void => {
      if (budget.heldBytes + report.body.length > budget.maxBytes) {
        lose()
        return
      }
      budget.heldBytes += report.body.length
      waiting.push({ report, until: clock.elapsed() + budget.retryMs })
    },
    dropExpired: (): void => {
      const now = clock.elapsed()
      for (const entry of waiting.splice(0)) {
        if (entry.until > now) {
          waiting.push(entry)
        } else {
          release(entry)
          lose()
        }
      }
    },
  }
}

/** Counts a lost report, and says so now and then. */
function createLose({ name, budget, clock, log, lost }: QueueParts): () => void {
  const notice = createLossNotice(clock, (count) =>
    log.warn(
      `otel dest ${name}: lost ${count} report(s), the queue is full or they waited for more than ` +
        `${budget.retryMs / 1000}s (extensions.telemetry)`,
    ),
  )
  return () => {
    notice()
    lost?.(name)
  }
}

export function createQueue(parts: QueueParts): Queue {
  const { budget, clock, log, name } = parts
  const lose = createLose(parts)
  const { waiting, release, add, dropExpired } = createBacklog(parts, lose)
  let delayMs = firstDelayMs
  let timer: Timer | null = null
  let running: Promise<void> | null = null
  let late = 0

  /** True when all of them are settled; those that failed go to the end, past which others get. */
  const tryBatch = async (batch: readonly Waiting[]): Promise<boolean> => {
    const deliveries = await Promise.all(batch.map(({ report }) => parts.send(report)))
    const failed = batch.filter((_, index) => deliveries[index] === 'failed')
    for (const [index, entry] of batch.entries()) {
      if (deliveries[index] === 'settled') release(entry)
    }
    late += batch.length - failed.length
    waiting.push(...failed)
    return failed.length === 0
  }
  const work = async (): Promise<void> => {
    let size = 1
    dropExpired()
    while (waiting.length > 0) {
      if (!(await tryBatch(waiting.splice(0, size)))) {
        delayMs = Math.min(delayMs * 2, lastDelayMs)
        return
      }
      size = batchSize
      delayMs = firstDelayMs
    }
    if (late > 0) log.warn(`otel dest ${name} takes reports again: ${late} delivered late`)
    late = 0
  }
  const run = (): Promise<void> => {
    timer?.cancel()
    timer = null
    running ??= work().finally(() => {
      running = null
    })
    return running
  }
  const schedule = (): void => {
    if (timer !== null || running !== null || waiting.length === 0) return
    // Up to a fifth earlier, so that the replicas do not all come back at the same moment.
    timer = clock.after(delayMs - randomInt(delayMs / 5), () => {
      void run().then(schedule) // never rejects
    })
  }
  return {
    lose,
    get length() {
      return waiting.length
    },
    get isIdle() {
      return waiting.length === 0 && running === null
    },
    hasRoom: (bytes) => budget.heldBytes + bytes <= budget.maxBytes,
    add(report) {
      add(report)
      schedule()
    },
    async finish() {
      await run()
      timer?.cancel()
      const given = waiting.splice(0)
      for (const entry of given) release(entry)
      return given.length
    },
  }
}

export interface QueuedDestination extends Destination {
  /** Reports that wait. */
  readonly waiting: number
  /** Nothing waits, and nothing is under way. */
  readonly isIdle: boolean
}

/** `inner` with a queue behind it: what it does not take now is tried again later. */
export function createQueuedDestination(
  inner: Destination,
  parts: Omit<QueueParts, 'send'>,
): QueuedDestination {
  const { budget } = parts
  const underWay = new Set<Promise<void>>()
  const tryNow = (report: Export): Promise<Delivery> =>
    inner.isFree(report.body.length) ? inner.deliver(report) : Promise.resolve('failed')
  const queue = createQueue({ ...parts, send: tryNow })
  const goesNow = (bytes: number): boolean => queue.length === 0 && inner.isFree(bytes)
  const mayWait = (): boolean => budget.maxBytes > 0

  const deliver = async (report: Export): Promise<Delivery> => {
    const bytes = report.body.length
    // What can never be sent must not wait either.
    if (!mayWait() || bytes > heldBytesMax) return inner.deliver(report)
    if (goesNow(bytes) && (await inner.deliver(report)) === 'settled') return 'settled'
    queue.add(report)
    return 'failed'
  }
  return {
    configure: (config) => inner.configure(config),
    takes: (signal) => inner.takes(signal),
    admits(bytes) {
      if (!mayWait()) return inner.admits(bytes)
      const admitted = goesNow(bytes) || queue.hasRoom(bytes)
      if (!admitted) queue.lose()
      return admitted
    },
    isFree: goesNow,
    lose: () => (mayWait() ? queue.lose() : inner.lose()),
    deliver(report) {
      const delivery = deliver(report)
      const over = delivery.then(() => void underWay.delete(over)) // it never rejects
      underWay.add(over)
      return delivery
    },
    get inFlight() {
      return inner.inFlight
    },
    get waiting() {
      return queue.length
    },
    get isIdle() {
      return underWay.size === 0 && queue.isIdle
    },
    async finish() {
      await Promise.all(underWay)
      // With a queue, what was ended has come back to it.
      const [given, ended] = [await queue.finish(), await inner.finish()]
      return mayWait() ? given : given + ended
    },
    cut: (reason) => inner.cut(reason),
  }
}
