/**
 * Half a minute of forty clients at once, through the whole edge: a quarter leave at random,
 * four in ten read slowly, some sources break. Nothing may be stuck, cut or counted twice, and
 * memory stays bounded. The seed is printed.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { UpstreamBroke } from '../../lib/kernel/abort.ts'
import type { Outcome } from '../../lib/stream/tap.ts'
import { createRandom } from '../support/random.ts'
import { eventually, open, openRoute, request, withGateway } from './gateway-under-test.ts'

const runMs = 30_000
const clients = 40
const eventsPerStream = 3_000
/** Far above what forty streams need, far below what unbounded buffering would take. */
const rssMaxBytes = 700 * 1024 * 1024

interface Account {
  /** Of the bytes the source made, once it ended by itself. */
  digest: string | null
  broke: boolean
  readonly outcomes: Outcome[]
}

test('send soak: forty clients, leaving and reading slowly at random', async (t) => {
  const random = createRandom()
  t.diagnostic(`seed ${random.seed}`)
  const accounts = new Map<string, Account>()
  const route = openRoute('/stream', (exchange) => {
    const account: Account = { digest: null, broke: false, outcomes: [] }
    accounts.set(exchange.query, account)
    return {
      status: 200,
      headers: [['Content-Type', 'text/event-stream']],
      body: eventSource(account, random.chance(5) ? random.below(eventsPerStream) : Infinity),
      taps: [{ name: 'account', settle: (outcome) => account.outcomes.push(outcome) }],
    }
  })
  const tally = { whole: 0, left: 0, broke: 0 }
  let rssMax = 0
  await withGateway({ routes: [route] }, async ({ port, server }) => {
    const end = performance.now() + runMs
    let asked = 0
    const client = async (): Promise<void> => {
      while (performance.now() < end) {
        const id = `?${++asked}`
        const leaves = random.chance(25)
        const slow = random.chance(40)
        const seen = await readStream(port, id, {
          pauseMs: slow ? 1 + random.below(4) : 0,
          leaveAfterBytes: leaves ? random.below(200_000) : Infinity,
        })
        rssMax = Math.max(rssMax, process.memoryUsage().rss)
        const account = accounts.get(id)
        if (seen.left) tally.left++
        else if (account?.broke) {
          assert.equal(seen.whole, false, `${id} broke but looks whole`)
          tally.broke++
        } else {
          assert.equal(seen.whole, true, `${id} was cut`)
          assert.equal(seen.digest, account?.digest, `${id} arrived changed`)
          tally.whole++
        }
      }
    }
    await Promise.all(Array.from({ length: clients }, client))
    await eventually(() => server.openRequests === 0, 'nothing is stuck')
  })
  for (const [id, { outcomes }] of accounts)
    assert.equal(outcomes.length, 1, `${id}: ${outcomes.join()}`)
  t.diagnostic(`${JSON.stringify(tally)}, ${Math.round(rssMax / 1e6)} MB at the peak`)
  assert.ok(tally.whole > 50 && tally.left > 10, JSON.stringify(tally))
  assert.ok(rssMax < rssMaxBytes, `${rssMax} bytes`)
})

/** Fed a burst per tick, as a provider's connection feeds it; breaks after `breakAt` events. */
function eventSource(account: Account, breakAt: number): ReadableStream<Uint8Array> {
  const hash = createHash('sha256')
  let made = 0
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await new Promise((resolve) => setImmediate(resolve))
        const lines: string[] = []
        for (let at = 0; at < 50 && made < eventsPerStream; at++) {
          lines.push(`event: content_block_delta\ndata: {"index":${made++},"text":"word"}\n\n`)
        }
        const bytes = Buffer.from(lines.join(''))
        hash.update(bytes)
        controller.enqueue(bytes)
        if (made >= breakAt) {
          account.broke = true
          controller.error(new UpstreamBroke('soak'))
        } else if (made >= eventsPerStream) {
          account.digest = hash.digest('hex')
          controller.close()
        }
      },
    },
    { highWaterMark: 0 },
  )
}

interface Seen {
  readonly left: boolean
  readonly whole: boolean
  readonly digest: string
}

async function readStream(
  port: number,
  id: string,
  { pauseMs, leaveAfterBytes }: { pauseMs: number; leaveAfterBytes: number },
): Promise<Seen> {
  const { socket } = await open(port)
  socket.removeAllListeners('data')
  const hash = createHash('sha256')
  let held = Buffer.alloc(0)
  let received = 0
  let headSeen = false
  let whole = false
  const parse = (): void => {
    if (!headSeen) {
      const end = held.indexOf('\r\n\r\n')
      if (end < 0) return
      held = held.subarray(end + 4)
      headSeen = true
    }
    for (;;) {
      const end = held.indexOf('\r\n')
      if (end < 0) return
      const length = Number.parseInt(held.subarray(0, end).toString(), 16)
      if (held.length < end + length + 4) return
      if (length === 0) whole = true
      hash.update(held.subarray(end + 2, end + 2 + length))
      held = held.subarray(end + length + 4)
    }
  }
  return new Promise((resolve) => {
    let left = false
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      held = Buffer.concat([held, chunk])
      parse()
      if (whole) socket.destroy()
      else if (received > leaveAfterBytes) {
        left = true
        socket.resetAndDestroy()
      } else if (pauseMs > 0) {
        socket.pause()
        setTimeout(() => socket.resume(), pauseMs)
      }
    })
    socket.on('close', () => resolve({ left, whole, digest: hash.digest('hex') }))
    socket.write(request('GET', `/stream${id}`))
  })
}
