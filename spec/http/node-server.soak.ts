/**
 * The timeouts of node's own server, in real time: they cannot be moved by hand. All run side by
 * side, so that the file takes the longest of them, some ninety seconds.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { text } from '../../lib/http/reply.ts'
import { open, openRoute, request, type Wire, withGateway } from './gateway-under-test.ts'

/** What came on a connection, and when: seconds to the last byte and to the close. */
interface Life {
  answered: number
  closed: number
  received: string
}

function watch(wire: Wire): Promise<Life> {
  const from = performance.now()
  const seconds = (): number => (performance.now() - from) / 1000
  let answered = 0
  wire.socket.on('data', () => (answered = seconds()))
  return new Promise((resolve) =>
    wire.socket.once('close', () =>
      resolve({ answered, closed: seconds(), received: wire.received() }),
    ),
  )
}

/** The server looks for expired waits every five seconds. */
const about = (expected: number, seconds: number, what: string): void =>
  assert.ok(expected - 1 <= seconds && seconds <= expected + 10, `${what}: ${seconds} s`)

test('node server soak: slow and idle connections end in their time, streams do not', async () => {
  const routes = [
    openRoute('/silence', () => ({
      status: 200,
      headers: [],
      body: new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('data')) }),
    })),
    openRoute('/read', async (exchange) => text(200, String((await exchange.readBody()).length))),
  ]
  await withGateway({ routes }, async ({ port }) => {
    const started = async (sent: string): Promise<Wire> => {
      const wire = await open(port)
      wire.socket.write(sent)
      return wire
    }
    const dripping = await started('GET /healthz HTTP/1.1\r\nHost: a\r\nX: ')
    const drip = setInterval(() => dripping.socket.writable && dripping.socket.write('a'), 500)
    const idle = await started(request('GET', '/healthz'))
    await idle.until('ok')
    const streaming = await started(request('GET', '/silence'))
    await streaming.until('data')
    const [silent, halfway, slow, stalled, kept] = await Promise.all([
      watch(await open(port)),
      watch(await started('GET /healthz HTTP/1.1\r\nHost: a\r\nX-')),
      watch(dripping),
      watch(await started(`${request('POST', '/read', 'Content-Length: 10')}abc`)),
      watch(idle),
    ])
    clearInterval(drip)

    about(30, silent.closed, 'a connection that sends nothing')
    assert.equal(silent.received, '')
    about(30, halfway.answered, 'half a head')
    assert.match(halfway.received, /^HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n\r\n$/)
    about(30, slow.answered, 'a head that drips')
    assert.match(slow.received, /^HTTP\/1\.1 408 /)
    about(60, stalled.answered, 'a body that stops')
    assert.match(stalled.received, /^HTTP\/1\.1 408 [^]*request body timed out$/)
    about(75, kept.closed, 'an idle connection')
    assert.equal(streaming.socket.destroyed, false, 'a silent stream goes on')
    streaming.socket.destroy()
  })
})
