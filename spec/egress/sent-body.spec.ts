/**
 * That memory is only freed when the system has it: against servers that read late, slowly or not
 * at all, on real sockets.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import { createSentBody } from '../../lib/egress/sent-body.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { freeBytes } from '../../lib/stream/lent-bytes.ts'
import { listen } from '../support/listen.ts'

/** More than the buffers of a loopback connection hold. */
const bodyBytes = 16 * 1024 * 1024
const head = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

interface Server {
  readonly egress: Egress
  readonly url: URL
  /** The first connection. */
  readonly accepted: Promise<Socket>
}

async function serve(t: TestContext): Promise<Server> {
  const server = createServer({ pauseOnConnect: true })
  const port = await listen(server)
  const egress = createEgress({ allowLoopback: true, clock: systemClock })
  const accepted = once(server, 'connection').then(([socket]: Socket[]) => {
    if (socket === undefined) throw new Error('a connection has a socket')
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    return socket
  })
  t.after(async () => {
    await egress.close()
    server.close()
  })
  return { egress, url: new URL(`http://127.0.0.1:${port}/`), accepted }
}

function post({ egress, url }: Server, body: Uint8Array, signal?: AbortSignal) {
  return egress.request({
    method: 'POST',
    url,
    headers: [],
    body,
    headTimeoutMs: 60_000,
    bodySilenceMs: 60_000,
    ...(signal && { signal }),
  })
}

/** What arrives behind the head, once `length` bytes of it have. */
async function readBody(socket: Socket, length: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let have = 0
  let wanted = Infinity
  for await (const part of socket) {
    parts.push(part)
    have += part.length
    if (wanted === Infinity) {
      const headEnd = Buffer.concat(parts).indexOf('\r\n\r\n')
      if (headEnd !== -1) wanted = headEnd + 4 + length
    }
    if (have >= wanted) break
  }
  return Buffer.concat(parts).subarray(-length)
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

test('sent body: freed behind an early answer, it still reaches a server that reads late', async (t) => {
  const server = await serve(t)
  const bytes = Buffer.allocUnsafeSlow(bodyBytes)
  randomBytes(bodyBytes).copy(bytes)
  const expected = digest(bytes)
  const answered = post(server, bytes)
  const socket = await server.accepted
  // Answers before it has read a byte of the request.
  socket.write('HTTP/1.1 200 OK\r\n\r\n')
  await answered
  freeBytes(bytes)
  // Whatever was freed too early is overwritten by now.
  const others = Array.from({ length: 8 }, () => Buffer.allocUnsafeSlow(bodyBytes).fill(0))
  await sleep(100)
  assert.equal(bytes.length, bodyBytes, 'not freed while most of it is still here')
  socket.resume()
  assert.equal(digest(await readBody(socket, bodyBytes)), expected)
  assert.equal(others.length, 8)
})

test('sent body: is freed once the server has read it', async (t) => {
  const server = await serve(t)
  const bytes = Buffer.allocUnsafeSlow(bodyBytes).fill('x')
  const answered = post(server, bytes)
  const socket = await server.accepted
  socket.resume()
  await readBodyThenAnswer(socket)
  const response = await answered
  freeBytes(bytes)
  assert.equal(bytes.length, 0)
  await response.body.cancel()
})

async function readBodyThenAnswer(socket: Socket): Promise<void> {
  let have = 0
  socket.on('data', (part: Buffer) => {
    have += part.length
    if (have > bodyBytes && !socket.destroyed) socket.write(head)
  })
}

test('sent body: another request may send the same bytes after one that failed', async (t) => {
  const [first, second] = [await serve(t), await serve(t)]
  const bytes = Buffer.allocUnsafeSlow(bodyBytes)
  randomBytes(bodyBytes).copy(bytes)
  const expected = digest(bytes)
  const failed = post(first, bytes)
  const reset = await first.accepted
  reset.resetAndDestroy()
  await assert.rejects(failed)
  const answered = post(second, bytes)
  const socket = await second.accepted
  socket.write('HTTP/1.1 200 OK\r\n\r\n')
  await answered
  freeBytes(bytes)
  await sleep(50)
  socket.resume()
  assert.equal(digest(await readBody(socket, bodyBytes)), expected)
})

test('sent body: given up half-way, it is left to the garbage collector', async (t) => {
  const server = await serve(t)
  const bytes = Buffer.allocUnsafeSlow(bodyBytes).fill('x')
  const abort = new AbortController()
  const failed = post(server, bytes, abort.signal)
  await server.accepted
  abort.abort(new Error('enough'))
  freeBytes(bytes)
  await assert.rejects(failed, /enough/)
  await sleep(50)
  assert.equal(bytes.length, bodyBytes)
})

test('sent body: its length is announced and it is not chunked', async (t) => {
  const server = await serve(t)
  void post(server, Buffer.allocUnsafeSlow(bodyBytes)).catch(() => {})
  const socket = await server.accepted
  socket.resume()
  const [part] = await once(socket, 'data')
  const sent = String(part).split('\r\n\r\n')[0] ?? ''
  assert.match(sent, new RegExp(`^content-length: ${bodyBytes}$`, 'm'))
  assert.doesNotMatch(sent, /transfer-encoding/i)
})

test('sent body: a small one stays as it is', () => {
  const bytes = Buffer.alloc(1000)
  assert.deepEqual(createSentBody(bytes), { body: bytes, contentLength: null })
  assert.deepEqual(createSentBody('text'), { body: 'text', contentLength: null })
  assert.deepEqual(createSentBody(null), { body: null, contentLength: null })
})
