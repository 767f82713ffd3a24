/**
 * Forty readers for forty seconds against a server that floods, drips, resets and stalls, with
 * slow reading, cancels and aborts at random: no exchange may hang, lose or invent a byte, or
 * leave memory behind. An earlier design of the feed hung now and then under exactly this. The
 * server is a process of its own (this file again), so that memory is the dispatcher's alone.
 */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import { ClientGone, DeadlineExceeded, UpstreamBroke } from '../../lib/kernel/abort.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFakeUpstream, messageEvents, type Behaviour } from '../support/fake-upstream.ts'
import { createRandom, type Random } from '../support/random.ts'

const soakMs = 40_000
const readers = 40

/** Longest an exchange may take; the slowest scripted one is over in some seconds. */
const exchangeMaxMs = 30_000

const events = messageEvents('word '.repeat(3_000), 3_000)
const drip = events.slice(0, 4).join('')

/** What the server does at a path, and the whole body; null when it never completes. */
function caseAt(path: string): { behaviour: Behaviour; body: string | Buffer | null } {
  const [, kind = '', number] = path.split('/')
  const count = Number(number)
  switch (kind) {
    case 'events':
      return { behaviour: { body: events }, body: events.join('') }
    case 'flood':
      return { behaviour: { body: [{ flood: count }] }, body: Buffer.alloc(count, 'x') }
    case 'drip':
      return { behaviour: { body: [{ drip }] }, body: drip }
    case 'cut':
      return { behaviour: { body: [...events.slice(0, count), { ending: 'reset' }] }, body: null }
    case 'stall':
      return { behaviour: { body: ['a', { ending: 'stall' }] }, body: null }
    case 'reset':
      return { behaviour: { fault: 'reset-before-head' }, body: null }
    case 'silence':
      return { behaviour: { fault: 'stall-before-head' }, body: null }
    default:
      return { behaviour: { status: 529, body: 'overloaded' }, body: 'overloaded' }
  }
}

function choosePath(random: Random): string {
  const dice = random.below(100)
  if (dice < 40) return '/events'
  if (dice < 55) return `/flood/${1 + random.below(4 * 1024 * 1024)}`
  if (dice < 65) return '/drip'
  if (dice < 75) return `/cut/${random.below(events.length)}`
  if (dice < 80) return '/stall'
  if (dice < 85) return '/reset'
  return dice < 90 ? '/silence' : '/overloaded'
}

type Outcome = 'whole' | 'broken' | 'aborted' | 'silent' | 'cancelled'

async function exchange(egress: Egress, base: string, random: Random): Promise<Outcome> {
  const path = choosePath(random)
  const controller = new AbortController()
  const slow = random.chance(40)
  if (random.chance(25)) {
    void setTimeout(random.below(300)).then(() => controller.abort(new ClientGone()))
  }
  const cancelAfter = random.chance(10) ? random.below(200_000) : Infinity
  const hash = createHash('sha256')
  let read = 0
  try {
    const { body } = await egress.request({
      method: 'POST',
      url: new URL(base + path),
      headers: [],
      body: '{}',
      signal: controller.signal,
      headTimeoutMs: 3_000,
      bodySilenceMs: 3_000,
    })
    const reader = body.getReader()
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      read += part.value.length
      hash.update(part.value)
      if (read > cancelAfter) {
        await reader.cancel()
        return 'cancelled'
      }
      if (slow) await setTimeout(random.below(8))
    }
  } catch (error) {
    if (error instanceof ClientGone) return 'aborted'
    if (error instanceof DeadlineExceeded) return 'silent'
    const code = error instanceof Error && 'code' in error ? error.code : null
    assert.ok(error instanceof UpstreamBroke || code === 'ECONNRESET', String(error))
    return 'broken'
  }
  const { body } = caseAt(path)
  assert.ok(body !== null, `${path} ended as if it were complete`)
  assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'), path)
  return 'whole'
}

async function soak(base: string): Promise<void> {
  const random = createRandom()
  const egress = createEgress({ allowLoopback: true, clock: systemClock })
  const counts = { whole: 0, broken: 0, aborted: 0, silent: 0, cancelled: 0 }
  const until = Date.now() + soakMs
  let peakMiB = 0
  const loop = async (): Promise<void> => {
    while (Date.now() < until) {
      const outcome = await Promise.race([
        exchange(egress, base, random),
        setTimeout(exchangeMaxMs, null, { ref: false }),
      ])
      assert.ok(outcome !== null, `an exchange hung, seed ${random.seed}`)
      counts[outcome]++
      peakMiB = Math.max(peakMiB, process.memoryUsage().rss / 1024 / 1024)
    }
  }
  try {
    await Promise.all(Array.from({ length: readers }, loop))
  } finally {
    await egress.close()
  }
  console.log(JSON.stringify(counts), `peak ${Math.round(peakMiB)} MiB, seed ${random.seed}`)
  for (const [outcome, count] of Object.entries(counts)) assert.ok(count > 0, `never ${outcome}`)
  assert.ok(peakMiB < 400, `${peakMiB} MiB`)
}

if (process.argv[2] === 'server') {
  const server = await createFakeUpstream()
  server.always(({ url }) => caseAt(url).behaviour)
  process.on('message', () => process.send?.(server.open))
  process.send?.(server.url)
} else {
  test('dispatcher soak: every exchange ends, whole or with its reason', async () => {
    const child = fork(import.meta.filename, ['server'])
    try {
      const [base] = await once(child, 'message')
      await soak(String(base))
      // The last resets take a moment to arrive.
      await setTimeout(500)
      child.send('how many are open?')
      assert.deepEqual(await once(child, 'message').then(([open]) => open), 0)
    } finally {
      child.kill()
    }
  })
}
