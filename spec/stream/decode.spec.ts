import assert from 'node:assert/strict'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { DeadlineExceeded, UpstreamBroke } from '../../lib/kernel/abort.ts'
import { decodeBody, readCoding, type ContentCoding } from '../../lib/stream/decode.ts'
import { chunkings, cutRandomly } from '../support/chunkings.ts'
import { createRandom } from '../support/random.ts'

const encoders: Readonly<
  Record<string, { coding: ContentCoding; encode: (bytes: Uint8Array) => Buffer }>
> = {
  gzip: { coding: 'gzip', encode: (bytes) => zlib.gzipSync(bytes) },
  'deflate as zlib': { coding: 'deflate', encode: (bytes) => zlib.deflateSync(bytes) },
  'bare deflate': { coding: 'deflate', encode: (bytes) => zlib.deflateRawSync(bytes) },
  br: { coding: 'br', encode: (bytes) => zlib.brotliCompressSync(bytes) },
  zstd: { coding: 'zstd', encode: (bytes) => zlib.zstdCompressSync(bytes) },
}

/** A body that hands out the chunks as they are asked for, then ends, or fails with `failure`. */
function createBody(chunks: readonly Uint8Array[], failure?: Error) {
  const state = { pulled: 0, cancelled: null as unknown }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[state.pulled]
        if (chunk) {
          state.pulled++
          controller.enqueue(chunk)
        } else if (failure) controller.error(failure)
        else controller.close()
      },
      cancel(reason) {
        state.cancelled = reason
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, state }
}

async function read(
  stream: ReadableStream<Uint8Array>,
): Promise<{ bytes: Buffer; error: unknown }> {
  const parts: Uint8Array[] = []
  try {
    for await (const part of stream) parts.push(part)
  } catch (error) {
    return { bytes: Buffer.concat(parts), error }
  }
  return { bytes: Buffer.concat(parts), error: null }
}

const plain = Buffer.from('event: message_start\ndata: {"text":"モデル 😀"}\n\n'.repeat(300))

test('decode: each coding gives back the plain bytes, in every chunking', async () => {
  for (const [name, { coding, encode }] of Object.entries(encoders)) {
    for (const chunking of chunkings(encode(plain))) {
      const { bytes, error } = await read(decodeBody(createBody(chunking.chunks).stream, coding))
      assert.equal(error, null, `${name}, ${chunking.name}`)
      assert.ok(bytes.equals(plain), `${name}, ${chunking.name}`)
    }
  }
})

test('decode: a large body with much and with little in common comes out whole', async () => {
  const random = createRandom()
  const noise = Buffer.from(Array.from({ length: 30_000 }, () => random.below(256)))
  const large = Buffer.concat([noise, Buffer.alloc(2_000_000, 'abc'), noise])
  for (const [name, { coding, encode }] of Object.entries(encoders)) {
    const chunks = cutRandomly(encode(large), random.seed)
    const { bytes, error } = await read(decodeBody(createBody(chunks).stream, coding))
    assert.equal(error, null, name)
    assert.ok(bytes.equals(large), `${name}, seed ${random.seed}`)
  }
})

test('decode: what the upstream flushed comes out before the next chunk goes in', async () => {
  const streams = {
    gzip: zlib.createGzip(),
    deflate: zlib.createDeflate(),
    br: zlib.createBrotliCompress(),
    zstd: zlib.createZstdCompress(),
  } as const
  for (const coding of ['gzip', 'deflate', 'br', 'zstd'] as const) {
    const encoder = streams[coding]
    let feed: ReadableStreamDefaultController<Uint8Array> | undefined
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (feed = controller) })
    encoder.on('data', (chunk: Buffer) => feed?.enqueue(chunk))
    encoder.on('end', () => feed?.close())
    const reader = decodeBody(body, coding).getReader()
    for (let count = 0; count < 5; count++) {
      const event = `event: ping\ndata: {"count":${count}}\n\n`
      encoder.write(event)
      await new Promise<void>((resolve) => encoder.flush(resolve))
      let text = ''
      while (text.length < event.length)
        text += Buffer.from((await reader.read()).value ?? []).toString()
      assert.equal(text, event, coding)
    }
    encoder.end()
    assert.equal((await reader.read()).done, true)
  }
})

test('decode: several gzip members in a row are one body', async () => {
  const encoded = Buffer.concat([zlib.gzipSync('first '), zlib.gzipSync('second')])
  for (const { name, chunks } of chunkings(encoded)) {
    const { bytes, error } = await read(decodeBody(createBody(chunks).stream, 'gzip'))
    assert.equal(error, null, name)
    assert.equal(bytes.toString(), 'first second', name)
  }
})

test('decode: an empty body is empty, whatever its coding is said to be', async () => {
  for (const { coding } of Object.values(encoders)) {
    for (const chunks of [[], [new Uint8Array(0)]]) {
      const { bytes, error } = await read(decodeBody(createBody(chunks).stream, coding))
      assert.equal(error, null)
      assert.equal(bytes.length, 0)
    }
  }
})

test('decode: the header is read as HTTP writes it', () => {
  const known = { gzip: 'gzip', ' GZIP ': 'gzip', 'x-gzip': 'gzip', deflate: 'deflate', Br: 'br' }
  for (const [header, coding] of Object.entries({ ...known, zstd: 'zstd' })) {
    assert.equal(readCoding(header), coding, header)
  }
  for (const header of ['', 'identity', 'compress', 'gzip, br', 'gzip,gzip', 'brotli', 'dcb']) {
    assert.equal(readCoding(header), null, header)
  }
})

test('decode: bytes that are not of the coding break the body and free the connection', async () => {
  for (const { coding } of Object.values(encoders)) {
    const { stream, state } = createBody([
      Buffer.from('{"plain":"json, not compressed"}'),
      plain,
      plain,
    ])
    const { error } = await read(decodeBody(stream, coding))
    assert.ok(error instanceof UpstreamBroke, `${coding}: ${String(error)}`)
    assert.match(error.message, new RegExp(coding))
    assert.ok(error.cause instanceof Error)
    assert.equal(state.cancelled, error)
    assert.ok(state.pulled < 3)
  }
})

test('decode: a body cut anywhere never ends as if it were whole', async () => {
  const text = Buffer.from('some text that is long enough to matter '.repeat(4))
  for (const [name, { coding, encode }] of Object.entries(encoders)) {
    const encoded = encode(text)
    for (let length = 1; length < encoded.length; length++) {
      const { error } = await read(
        decodeBody(createBody([encoded.subarray(0, length)]).stream, coding),
      )
      assert.ok(error instanceof UpstreamBroke, `${name} cut at ${length} of ${encoded.length}`)
    }
  }
})

test('decode: all that was whole before a cut comes out before the failure', async () => {
  const encoded = new Map<string, Buffer>()
  for (const coding of ['gzip', 'deflate', 'br', 'zstd'] as const) {
    const encoder = {
      gzip: () => zlib.createGzip(),
      deflate: () => zlib.createDeflate(),
      br: () => zlib.createBrotliCompress(),
      zstd: () => zlib.createZstdCompress(),
    }[coding]()
    const parts: Buffer[] = []
    encoder.on('data', (part: Buffer) => parts.push(part))
    encoder.write(plain)
    await new Promise<void>((resolve) => encoder.flush(resolve))
    encoded.set(coding, Buffer.concat(parts))
    encoder.destroy()
    for (const failure of [
      undefined,
      new UpstreamBroke('reset'),
      new DeadlineExceeded('body', 1),
    ]) {
      const body = createBody([encoded.get(coding) ?? Buffer.alloc(0)], failure)
      const { bytes, error } = await read(decodeBody(body.stream, coding))
      assert.ok(bytes.equals(plain), `${coding}: ${bytes.length} of ${plain.length} bytes`)
      if (failure) assert.equal(error, failure)
      else assert.ok(error instanceof UpstreamBroke)
    }
  }
})

test('decode: cancelling cancels the body with the same reason, before and amid reading', async () => {
  for (const reads of [0, 1]) {
    const { stream, state } = createBody([zlib.gzipSync(plain), plain])
    const reader = decodeBody(stream, 'gzip').getReader()
    for (let count = 0; count < reads; count++) await reader.read()
    const reason = new Error('the client left')
    await reader.cancel(reason)
    assert.equal(state.cancelled, reason)
    assert.equal((await reader.read()).done, true)
  }
})

test('decode: cancelling while the upstream is silent does not wait for it', async () => {
  let cancelled: unknown = null
  const silent = new ReadableStream<Uint8Array>({ cancel: (reason) => void (cancelled = reason) })
  const reader = decodeBody(silent, 'br').getReader()
  const waiting = reader.read()
  await reader.cancel('gone')
  assert.equal(cancelled, 'gone')
  assert.equal((await waiting).done, true)
})

test('decode: nothing is read ahead of a slow reader but one chunk', async () => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const encoded = zlib.deflateRawSync(Buffer.alloc(40 * chunk.length, 'y'), { level: 0 })
  const chunks = Array.from({ length: 40 }, (_, index) =>
    encoded.subarray(index * chunk.length, (index + 1) * chunk.length),
  )
  const { stream, state } = createBody(chunks)
  const reader = decodeBody(stream, 'deflate').getReader()
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(state.pulled, 0)
  await reader.read()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(state.pulled <= 2, `${state.pulled} chunks were read for one`)
  await reader.cancel()
})

test('decode: a bomb comes out no faster than it is read', async () => {
  const bomb = zlib.gzipSync(Buffer.alloc(200 * 1024 * 1024))
  const reader = decodeBody(createBody([bomb]).stream, 'gzip').getReader()
  const before = process.memoryUsage().arrayBuffers
  let bytes = 0
  for (let count = 0; count < 20; count++) bytes += (await reader.read()).value?.length ?? 0
  await new Promise((resolve) => setTimeout(resolve, 50))
  const grown = process.memoryUsage().arrayBuffers - before
  assert.ok(bytes < 4 * 1024 * 1024, `${bytes} bytes in 20 reads`)
  assert.ok(grown < 32 * 1024 * 1024, `${grown} bytes are held`)
  await reader.cancel()
})

test('decode: a zstd body that asks for a window above 8 MiB is refused', async () => {
  const params = { [zlib.constants.ZSTD_c_windowLog]: 25 }
  const large = Buffer.alloc(20 * 1024 * 1024, 'z')
  const encoder = zlib.createZstdCompress({ params })
  const parts: Buffer[] = []
  encoder.on('data', (part: Buffer) => parts.push(part))
  encoder.end(large)
  await new Promise((resolve) => encoder.on('end', resolve))
  const { error } = await read(decodeBody(createBody(parts).stream, 'zstd'))
  assert.ok(error instanceof UpstreamBroke)
})
