/**
 * The bound on what one process holds for its callers: open inference requests and the bytes of
 * their bodies, which are kept for failover until an upstream has answered for good. Entered
 * before a body is read, left when the answer is over. Not a rate limit: in normal operation
 * nobody ever waits here.
 */
import type { Cancellation } from '../kernel/cancellation.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail, GatewayError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'

/**
 * About 30 KB of sockets, parser and stream state a request make 8192 of them a quarter of a
 * gigabyte; ten thousand developers seldom have more than some hundred turns open at a time.
 */
export const defaultOpenMax: number = 8192

/** Bodies are up to 32 MiB each; this many bytes of them fit beside the above into 1 GiB. */
export const defaultBytesMax: number = 256 * 1024 * 1024

/** Longest wait for a place: clients give up connecting and reading heads at about this. */
const waitMaxMs = 10_000

/** At most one warning in this time, however many requests wait. */
const warnEveryMs = 60_000

export interface AdmissionLimits {
  /** Requests open at once. */
  readonly openMax: number
  /** Body bytes held at once. One larger body is still admitted when it is alone. */
  readonly bytesMax: number
  /** `openMax` comes from the operator's environment, so exceeding it is worth a warning. */
  readonly isConfigured: boolean
}

export interface Place {
  /** Gives back the body's share once it needs no more replay. */
  releaseBytes(): void
  /** Gives everything back; further calls do nothing. */
  leave(): void
}

export interface Admission {
  /**
   * Waits for room for one request with a body of `bytes`; throws `inference/overloaded` after
   * ten seconds, or the signal's reason.
   */
  enter(bytes: number, signal: Cancellation): Promise<Place> | Place
  readonly open: number
  readonly waiting: number
}

interface Waiter {
  readonly bytes: number
  admit(place: Place): void
}

export function createAdmission(limits: AdmissionLimits, clock: Clock, log: Log): Admission {
  const { openMax, bytesMax, isConfigured } = limits
  const queue = new Set<Waiter>()
  let open = 0
  let held = 0
  let warnedAt = -Infinity

  const hasRoom = (bytes: number): boolean =>
    open < openMax && (held === 0 || held + bytes <= bytesMax)
  const take = (bytes: number): Place => {
    open++
    held += bytes
    let holding = bytes
    let isOpen = true
    const releaseBytes = (): void => {
      if (holding === 0) return
      held -= holding
      holding = 0
      admitWaiting()
    }
    return {
      releaseBytes,
      leave() {
        if (!isOpen) return
        isOpen = false
        open--
        releaseBytes()
        admitWaiting()
      },
    }
  }
  const admitWaiting = (): void => {
    // First come, first served: a small request must not overtake a large one for ever.
    for (const waiter of queue) {
      if (!hasRoom(waiter.bytes)) return
      waiter.admit(take(waiter.bytes))
    }
  }
  const warn = (): void => {
    if (clock.elapsed() - warnedAt < warnEveryMs) return
    warnedAt = clock.elapsed()
    const source = isConfigured ? 'BUN_CONFIG_MAX_HTTP_REQUESTS' : 'the built-in bound'
    log.warn(
      `${open + queue.size + 1} client requests are open; ${source} admits ${openMax} at once and ${bytesMax} bytes of bodies, the rest wait up to ${waitMaxMs / 1000} s`,
    )
  }
  return {
    enter(bytes, signal) {
      signal.throwIfAborted()
      if (queue.size === 0 && hasRoom(bytes)) return take(bytes)
      warn()
      // A queue as long as what is admitted: beyond it the wait could not end in time anyway.
      if (queue.size >= openMax) return fail('inference/overloaded')
      return waitForTurn(queue, bytes, signal, clock)
    },
    get open() {
      return open
    },
    get waiting() {
      return queue.size
    },
  }
}

function waitForTurn(
  queue: Set<Waiter>,
  bytes: number,
  signal: Cancellation,
  clock: Clock,
): Promise<Place> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      queue.delete(waiter)
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
    }
    const onAbort = (): void => {
      end()
      reject(signal.reason)
    }
    const timer = clock.after(waitMaxMs, () => {
      end()
      reject(new GatewayError('inference/overloaded'))
    })
    const waiter: Waiter = {
      bytes,
      admit(place) {
        end()
        resolve(place)
      },
    }
    queue.add(waiter)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
