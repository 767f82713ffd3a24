/**
 * Log lines to a file descriptor without blocking the event loop: a line leaves at once, those soon
 * after it in one write together. `process.stderr` writes synchronously to a pipe, so a slow log
 * collector would stall every open stream; here it grows a bounded backlog, and what is lost beyond
 * that is counted.
 */
import { write } from 'node:fs'
import type { Clock, Timer } from './clock.ts'
import type { LineSink } from './log.ts'

/**
 * Lines kept for a reader that has stopped reading: 64 MiB is about 200,000 audit lines, a few
 * minutes of a busy replica. Beyond it the choice is to stop serving, to grow until the process
 * is killed, or to lose lines and say how many; we do the last.
 */
const backlogMaxBytes = 64 * 1024 * 1024

/**
 * From the end of one write to the next. A write goes through another thread: with one for each
 * line, starting them took 5 % of the main thread's time under a load of short streams. A process
 * that is killed loses the lines of this while.
 */
const pauseMs = 10

/** How long to leave a full pipe alone before the next try. */
const retryMs = 5

export interface FileSink {
  readonly line: LineSink
  /** Resolves when every line so far is written or the descriptor is closed. */
  drained(): Promise<void>
  /** Lines lost so far. */
  readonly lost: number
}

export function createFileSink(descriptor: number, clock: Clock): FileSink {
  let waiting: string[] = []
  let waitingBytes = 0
  let lost = 0
  let lostEver = 0
  /** A write is due, under way, or was so a moment ago. */
  let writing = false
  let pause: Timer | null = null
  let onDrained: (() => void)[] = []

  const start = (): void => {
    if (lost > 0) waiting.push(lossLine(lost, clock))
    const bytes = Buffer.from(waiting.join(''))
    waiting = []
    waitingBytes = 0
    lost = 0
    writeAll(bytes)
  }
  const writeAll = (bytes: Buffer): void => {
    write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        clock.after(retryMs, () => writeAll(bytes))
        return
      }
      // A closed descriptor (EPIPE, EBADF) leaves nobody to tell; the lines are gone.
      if (!error && written < bytes.length) writeAll(bytes.subarray(written))
      else finish()
    })
  }
  const finish = (): void => {
    if (onDrained.length > 0) goOn()
    else pause = clock.after(pauseMs, goOn)
  }
  const goOn = (): void => {
    pause = null
    if (waiting.length > 0 || lost > 0) {
      start()
      return
    }
    writing = false
    for (const resolve of onDrained) resolve()
    onDrained = []
  }
  return {
    line(text) {
      if (waitingBytes + text.length > backlogMaxBytes) {
        lost++
        lostEver++
        return
      }
      waiting.push(text)
      waitingBytes += text.length
      if (writing) return
      writing = true
      setImmediate(start)
    },
    get lost() {
      return lostEver
    },
    drained() {
      if (!writing) return Promise.resolve()
      const drained = new Promise<void>((resolve) => onDrained.push(resolve))
      if (pause !== null) {
        pause.cancel()
        goOn()
      }
      return drained
    },
  }
}

function lossLine(lost: number, clock: Clock): string {
  const stamp = new Date(clock.now()).toISOString()
  return `[gateway] ${stamp} error ${lost} log lines were lost: the reader of stderr fell behind by ${backlogMaxBytes} bytes\n`
}
