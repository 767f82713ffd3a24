/**
 * Reads a request body into memory, once, within bounds of size, silence and total time. Memory
 * follows what has arrived, never what a `Content-Length` promises or how finely it is sliced.
 */
import type { IncomingMessage } from 'node:http'
import { ClientGone } from '../kernel/abort.ts'
import { fail, GatewayError } from '../kernel/errors.ts'
import { freeBytes } from '../stream/lent-bytes.ts'
import type { Watchdog } from './watchdog.ts'

/** Silence inside a body; a sender on the worst mobile link retransmits well within it. */
const idleMs = 60_000

/** A whole body; 32 MiB in this time is 56 kB/s, slower than any link people work on. */
const totalMs = 600_000

/** What is set aside once more than one chunk comes: most bodies are smaller, so it is one copy. */
const firstBytes = 1024 * 1024

export interface BodyLimits {
  readonly bytesMax: number
  readonly watchdog: Watchdog
}

/** Rejects with `http/payload-too-large`, `http/body-timeout` or `ClientGone`. */
export async function readBody(req: IncomingMessage, limits: BodyLimits): Promise<Uint8Array> {
  const length = bodyLength(req)
  if (length === 0) return new Uint8Array(0)
  if (length > limits.bytesMax) return fail('http/payload-too-large')
  // The parser tells of a head before it reads on: what came with it is there in a moment.
  await Promise.resolve()
  if (req.readableLength !== length) return receive(req, length, limits)
  const bytes: unknown = req.read()
  // Its end may still be parsed; read past it, a request is over for node:http.
  req.resume()
  if (bytes instanceof Uint8Array) return bytes
  throw new TypeError('node:http holds a body that is no bytes')
}

/** What has not arrived yet, and may never. */
function receive(
  req: IncomingMessage,
  length: number,
  { bytesMax, watchdog }: BodyLimits,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const store = createStore(Math.min(length, bytesMax))
    const expire = (): void => settle(() => reject(new GatewayError('http/body-timeout')))
    const idle = watchdog.start(idleMs, expire)
    const total = watchdog.start(totalMs, expire)
    const onData = (chunk: Buffer): void => {
      watchdog.touch(idle)
      if (!store.add(chunk)) settle(() => reject(new GatewayError('http/payload-too-large')))
    }
    const onEnd = (): void => settle(() => resolve(store.bytes()))
    const onClose = (): void => settle(() => reject(new ClientGone()))
    const settle = (outcome: () => void): void => {
      watchdog.stop(idle)
      watchdog.stop(total)
      req.off('data', onData).off('end', onEnd).off('close', onClose)
      outcome()
    }
    req.on('data', onData).on('end', onEnd).on('close', onClose)
    if (req.closed) onClose()
  })
}

/** Bytes announced, 0 without a body, infinite for one of unannounced length. */
export function bodyLength(req: IncomingMessage): number {
  if (req.headers['transfer-encoding'] !== undefined) return Infinity
  return Number(req.headers['content-length'] ?? 0)
}

interface Store {
  /** False when the chunk does not fit any more. */
  add(chunk: Uint8Array): boolean
  bytes(): Uint8Array
}

function createStore(bytesMax: number): Store {
  let held: Uint8Array = new Uint8Array(0)
  let used = 0
  return {
    add(chunk) {
      const needed = used + chunk.length
      if (needed > bytesMax) return false
      if (used === 0 && needed === bytesMax) {
        held = chunk // all of it in one chunk: nothing to copy
      } else {
        if (needed > held.length) {
          const room = Math.min(bytesMax, Math.max(needed, firstBytes, held.length * 2))
          const larger = Buffer.allocUnsafeSlow(room)
          larger.set(held.subarray(0, used))
          freeBytes(held)
          held = larger
        }
        held.set(chunk, used)
        // The copies that node:http makes of a body weigh as much as the body.
        freeBytes(chunk)
      }
      used = needed
      return true
    },
    bytes: () => held.subarray(0, used),
  }
}
