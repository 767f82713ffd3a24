/**
 * Processes of the benchmark and how they talk: `main.ts` starts floor, upstream and client with
 * `startChild`, and each of them calls `serveParent`. Questions go over node's IPC channel, never
 * over the sockets being measured; a child leaves when its parent is gone.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** A child that takes longer to open its port is broken, not slow. */
const startTimeoutMs = 10_000

/** A child asked to leave has nothing to save. */
const stopTimeoutMs = 2_000

interface Envelope {
  readonly id: number
  readonly body?: unknown
  readonly error?: string
}

export interface Child {
  readonly pid: number
  readonly port: number
  /** Sends a question and waits for its answer; rejects when the child fails or leaves. */
  ask(question: object): Promise<unknown>
  stop(): Promise<void>
}

/** Starts a compiled script on this very Node with no flags of its own. */
export async function startChild(
  script: string,
  args: readonly string[],
  nodeFlags: readonly string[] = [],
): Promise<Child> {
  const child = fork(script, args, { execArgv: [...nodeFlags], stdio: 'inherit' })
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let nextId = 1
  let gone: Error | undefined
  child.on('message', (message) => {
    const { id, body, error } = readEnvelope(message)
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) asked?.resolve(body)
    else asked?.reject(new Error(`${script}: ${error}`))
  })
  child.on('exit', (code, signal) => {
    gone = new Error(`${script} left with ${signal ?? `exit code ${code}`}`)
    for (const asked of waiting.values()) asked.reject(gone)
    waiting.clear()
  })
  const ask = (question: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (gone !== undefined) {
        reject(gone)
        return
      }
      const id = nextId++
      waiting.set(id, { resolve, reject })
      child.send({ id, body: question } satisfies Envelope)
    })
  const port = await withDeadline(ask({ kind: 'port' }), startTimeoutMs, `${script} to start`)
  if (typeof port !== 'number' || child.pid === undefined) throw new Error(`${script}: no port`)
  const stop = async (): Promise<void> => {
    if (gone !== undefined) return
    const exited = once(child, 'exit')
    child.disconnect()
    const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await exited
    clearTimeout(late)
  }
  return { pid: child.pid, port, ask, stop }
}

/** In a child: answers each question of the parent, and leaves with it. */
export function serveParent(answer: (question: unknown) => unknown): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message) => {
    const { id, body } = readEnvelope(message)
    const reply = (envelope: Envelope): void => {
      process.send?.(envelope)
    }
    Promise.resolve()
      .then(() => answer(body))
      .then(
        (result) => reply({ id, body: result }),
        (error: unknown) => reply({ id, error: String(error) }),
      )
  })
}

/** Rejects when `promise` is not settled within `timeoutMs`; the work itself goes on. */
export async function withDeadline<T>(
  promise: Promise<T>,
  timeoutMs: number,
  what: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited ${timeoutMs} ms for ${what}`))
    }, timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function readEnvelope(message: unknown): Envelope {
  if (typeof message === 'object' && message !== null && 'id' in message) {
    // Both ends of the channel are this file; the shape beyond `id` is ours.
    return message as Envelope
  }
  throw new Error('a message that is not ours on the IPC channel')
}
