import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { text } from 'node:stream/consumers'
import { writeChunk } from '../../lib/http/chunk.ts'
import { listen } from '../support/listen.ts'

/** A server that answers every request with `reply`; its port. */
async function serve(t: TestContext, reply: (res: ServerResponse) => void): Promise<number> {
  const server = createServer((_incoming, res) => reply(res))
  t.after(() => server.close())
  const port = await listen(server)
  return port
}

/** All that comes back for `sent`, until the server closes. */
async function exchange(port: number, sent: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(sent)
  return (await text(socket)).replace(/^[^]*?\r\n\r\n/, '')
}

const lengths = [1, 15, 16, 255, 256, 4096, 16 * 1024, 16 * 1024 + 1, 70_000]

test('chunk: is framed as node:http frames it, of any length', async (t) => {
  const body = (res: ServerResponse, write: (chunk: Buffer) => void): void => {
    res.writeHead(200, { connection: 'close' })
    res.flushHeaders()
    for (const length of lengths) write(Buffer.alloc(length, 'x'))
    res.end()
  }
  const ours = await serve(t, (res) => body(res, (chunk) => void writeChunk(res, chunk)))
  const nodes = await serve(t, (res) => body(res, (chunk) => void res.write(chunk)))
  const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
  const framed = await exchange(ours, get)
  assert.equal(framed, await exchange(nodes, get))
  assert.match(framed, /^1\r\nx\r\nf\r\nx{15}\r\n10\r\nx{16}\r\n/)
})

test('chunk: keeps its order among writes of node:http in the same tick', async (t) => {
  const port = await serve(t, (res) => {
    res.write('a')
    writeChunk(res, Buffer.from('b'))
    res.write('c')
    writeChunk(res, Buffer.from('d'))
    res.end('e')
  })
  const sent = request({ port, host: '127.0.0.1' }).end()
  const [response] = await once(sent, 'response')
  assert.equal(await text(response), 'abcde')
})

test('chunk: a client of HTTP/1.0 gets the bytes alone', async (t) => {
  const port = await serve(t, (res) => {
    res.flushHeaders()
    writeChunk(res, Buffer.from('hello '))
    writeChunk(res, Buffer.from('world'))
    res.end()
  })
  assert.equal(await exchange(port, 'GET / HTTP/1.0\r\n\r\n'), 'hello world')
})

test('chunk: of a reply that waits behind another one stays behind it', async (t) => {
  const held: ServerResponse[] = []
  const port = await serve(t, (res) => {
    held.push(res)
    if (held.length === 1) return
    const [first] = held
    res.flushHeaders()
    writeChunk(res, Buffer.from('second'))
    first?.flushHeaders()
    if (first !== undefined) writeChunk(first, Buffer.from('first'))
    res.end()
    first?.end()
  })
  const all = await exchange(
    port,
    'GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  )
  assert.match(all, /^5\r\nfirst\r\n0\r\n\r\nHTTP\/1.1 200 [^]*\r\n\r\n6\r\nsecond\r\n0\r\n\r\n$/)
})

test('chunk: says when to wait, and the connection says when to go on', async (t) => {
  const chunk = Buffer.alloc(16 * 1024, 'x')
  let written = 0
  let waits = 0
  const total = 64 * 1024 * 1024
  const port = await serve(t, (res) => {
    res.flushHeaders()
    const go = (): void => {
      while (written < total) {
        written += chunk.length
        if (writeChunk(res, chunk)) continue
        waits++
        res.socket?.once('drain', go)
        return
      }
      res.end()
    }
    go()
  })
  const sent = request({ port, host: '127.0.0.1' }).end()
  const [response] = await once(sent, 'response')
  let read = 0
  for await (const part of response) read += part.length
  assert.equal(read, total)
  assert.ok(waits > 0)
})

test('chunk: written to a connection that is gone is nobody’s error', async (t) => {
  const done = Promise.withResolvers<void>()
  const port = await serve(t, (res) => {
    res.flushHeaders()
    res.on('close', () => {
      writeChunk(res, Buffer.from('late'))
      setImmediate(done.resolve)
    })
    res.req.socket.resetAndDestroy()
  })
  const sent = request({ port, host: '127.0.0.1' }).end()
  await once(sent, 'error').catch(() => {})
  sent.on('error', () => {})
  await done.promise
})
