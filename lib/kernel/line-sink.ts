/**
 * Log lines to a file descriptor without blocking the event loop: lines of one tick leave in one
 * write. `process.stderr` writes synchronously to a pipe, so a slow log collector would stall
 * every open stream; here it only grows a bounded backlog.
 */
import { write, writeSync } from 'node:fs'
import type { LineSink } from './log.ts'

/**
 * Backlog at which writing turns synchronous: audit lines may not be dropped, and memory may not
 * grow without end. 16 MiB is about 50,000 audit lines, some minutes of a full disk or pipe.
 */
const backlogMaxBytes = 16 * 1024 * 1024

/** How long to leave a full pipe alone before the next try. */
const retryMs = 5

export interface FileSink {
  readonly line: LineSink
  /** Writes what is left synchronously; for exits. */
  flush(): void
}

export function createFileSink(descriptor: number): FileSink {
  let waiting: string[] = []
  let waitingBytes = 0
  /** What a running write has not yet handed to the system. */
  let inFlight = Buffer.alloc(0)
  let scheduled = false
  let writing = false

  const schedule = (): void => {
    if (scheduled || writing) return
    scheduled = true
    setImmediate(start)
  }
  const start = (): void => {
    scheduled = false
    if (writing || waiting.length === 0) return
    inFlight = Buffer.from(waiting.join(''))
    waiting = []
    waitingBytes = 0
    writing = true
    next()
  }
  const next = (): void => {
    write(descriptor, inFlight, 0, inFlight.length, null, (error, written) => {
      if (!writing) return // flush() took over while the write was under way
      if (error?.code === 'EAGAIN') {
        setTimeout(next, retryMs)
        return
      }
      // A closed descriptor (EPIPE, EBADF) leaves nobody to tell; the lines are gone.
      inFlight = error ? Buffer.alloc(0) : inFlight.subarray(written)
      if (inFlight.length > 0) {
        next()
        return
      }
      writing = false
      if (waiting.length > 0) schedule()
    })
  }
  const flush = (): void => {
    const rest = Buffer.concat([inFlight, Buffer.from(waiting.join(''))])
    inFlight = Buffer.alloc(0)
    waiting = []
    waitingBytes = 0
    writing = false
    writeAll(descriptor, rest)
  }
  return {
    line(text) {
      waiting.push(text)
      waitingBytes += text.length
      if (waitingBytes > backlogMaxBytes) flush()
      else schedule()
    },
    flush,
  }
}

/** Gives up after about a second of a full pipe: an exit may not hang on a stuck reader. */
function writeAll(descriptor: number, bytes: Buffer): void {
  let offset = 0
  let refusals = 0
  while (offset < bytes.length && refusals < 200) {
    try {
      offset += writeSync(descriptor, bytes, offset)
      refusals = 0
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
      refusals++
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)
    }
  }
}
