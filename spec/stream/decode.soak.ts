/**
 * Thirty readers for thirty seconds on compressed bodies that are cut, corrupted, fail or fall
 * silent, read slowly and cancelled at random: no read may hang, no byte be lost or invented, no
 * failure go unseen, and no memory stay behind.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import zlib from 'node:zlib'
import { UpstreamBroke } from '../../lib/kernel/abort.ts'
import { decodeBody, type ContentCoding } from '../../lib/stream/decode.ts'
import { cutRandomly } from '../support/chunkings.ts'
import { createRandom, type Random } from '../support/random.ts'

const soakMs = 30_000
const readers = 30
/** Longest a body may take: the slowest has some hundred waits of milliseconds. */
const bodyMaxMs = 30_000

const codings: readonly [ContentCoding, ...ContentCoding[]] = ['gzip', 'deflate', 'br', 'zstd']
const encode = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: (bytes: Uint8Array) =>
    zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }),
  zstd: zlib.zstdCompressSync,
} as const

type Ending = 'whole' | 'cut' | 'corrupt' | 'fails' | 'silent' | 'cancelled'
const endings: readonly [Ending, ...Ending[]] = [
  'whole',
  'cut',
  'corrupt',
  'fails',
  'silent',
  'cancelled',
]

/** A body that gives the chunks, at random at once or later, and ends as told. */
function createBody(chunks: readonly Uint8Array[], ending: Ending, random: Random) {
  let index = 0
  const state = { cancelled: false, closed: false }
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (random.chance(20)) await setTimeout(random.below(5))
      const chunk = chunks[index++]
      if (state.cancelled) return
      if (chunk) controller.enqueue(chunk)
      else if (ending === 'fails') controller.error(new UpstreamBroke('reset'))
      else if (ending === 'silent') await new Promise(() => {})
      else {
        state.closed = true
        controller.close()
      }
    },
    cancel() {
      state.cancelled = true
    },
  })
  return { stream, state }
}

/** What `work` comes to, or null after `patienceMs`. */
async function within<T>(patienceMs: number, work: Promise<T>): Promise<T | null> {
  const patience = new AbortController()
  const late = setTimeout(patienceMs, null, { signal: patience.signal }).catch(() => null)
  try {
    return await Promise.race([work, late])
  } finally {
    patience.abort()
  }
}

async function readOne(random: Random): Promise<Ending> {
  const coding = random.pick(codings)
  const ending = random.pick(endings)
  const line = `data: {"text":"${random.below(1e9)} and more"}\n\n`
  const plain = Buffer.from(line.repeat(1 + random.below(random.chance(20) ? 20_000 : 200)))
  let encoded: Buffer = encode[coding](plain)
  const cut = 1 + random.below(encoded.length - 1)
  if (ending === 'cut' || ending === 'silent') encoded = encoded.subarray(0, cut)
  if (ending === 'corrupt')
    encoded = Buffer.concat([encoded.subarray(0, cut), Buffer.alloc(64, 0xa5)])
  const { stream, state } = createBody(cutRandomly(encoded, random.below(2 ** 32)), ending, random)
  const reader = decodeBody(stream, coding).getReader()
  const readsMax = ending === 'cancelled' ? random.below(5) : Number.POSITIVE_INFINITY
  const about = `seed ${random.seed}: ${coding} ${ending}`
  let at = 0
  for (let reads = 0; reads < readsMax; reads++) {
    const next = await within(
      ending === 'silent' ? 50 : bodyMaxMs,
      reader.read().catch((error: unknown) => ({ error })),
    )
    if (next === null) {
      assert.equal(ending, 'silent', `${about}: a read hung`)
      break
    }
    if ('error' in next) {
      assert.ok(next.error instanceof UpstreamBroke, `${about}: ${String(next.error)}`)
      assert.ok(ending === 'cut' || ending === 'corrupt' || ending === 'fails', about)
      return ending
    }
    if (next.done) {
      assert.ok(
        ['whole', 'corrupt', 'cancelled'].includes(ending),
        `${about}: it ended as if whole`,
      )
      // Brotli and zstd bodies carry no checksum: what they decode to may look whole.
      const isChecked = coding === 'gzip' || coding === 'deflate'
      if (ending !== 'corrupt' || isChecked) assert.equal(at, plain.length, about)
      return ending
    }
    const expected = plain.subarray(at, at + next.value.length)
    // What a corrupt body decodes to before that shows is anybody's guess.
    if (ending !== 'corrupt')
      assert.ok(expected.equals(next.value), `${about}: wrong bytes at ${at}`)
    at += next.value.length
    if (random.chance(10)) await setTimeout(random.below(8))
  }
  await reader.cancel(new Error('left'))
  assert.ok(state.cancelled || state.closed, `${about}: the body was not cancelled`)
  return ending
}

test(
  'decode soak: nothing hangs, nothing is lost, nothing stays',
  { timeout: 120_000 },
  async () => {
    const seeds = createRandom()
    const counts = new Map<Ending, number>()
    const until = performance.now() + soakMs
    let settledBytes = 0
    const settle = setTimeout(soakMs / 3).then(() => {
      settledBytes = process.memoryUsage().rss
    })
    const work = async (): Promise<void> => {
      while (performance.now() < until) {
        const ending = await readOne(createRandom(seeds.below(2 ** 32)))
        counts.set(ending, (counts.get(ending) ?? 0) + 1)
      }
    }
    const unseen: unknown[] = []
    process.on('unhandledRejection', (reason) => unseen.push(reason))
    await Promise.all([settle, ...Array.from({ length: readers }, work)])
    await setTimeout(200)
    const grownBytes = process.memoryUsage().rss - settledBytes
    console.log(Object.fromEntries(counts), `grown by ${Math.round(grownBytes / 1024)} KiB`)
    assert.deepEqual(unseen, [])
    for (const ending of endings) assert.ok((counts.get(ending) ?? 0) > 20, ending)
    assert.ok(grownBytes < 100 * 1024 * 1024, `${grownBytes} bytes more than after a third`)
  },
)
