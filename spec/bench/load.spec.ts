import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, test } from 'node:test'
import { runLoad } from '../../bench/load.ts'
import type { LoadPlan } from '../../bench/load.ts'
import { listenOnLoopback } from '../../bench/loopback.ts'
import { createReply, findNonce } from '../../bench/reply.ts'
import type { Script } from '../../bench/reply.ts'

const script: Script = {
  provider: 'anthropic',
  kind: 'stream',
  events: 10,
  gapMs: 0,
  chunks: 'each',
  together: 0,
}
const bedrock: Script = { ...script, provider: 'bedrock' }
const servers: (() => void)[] = []
after(() => {
  for (const close of servers) close()
})

/** Answers like the bench's upstream, after `alter` had its way with the pieces. */
async function serve(
  alter: (pieces: Buffer[], count: number, response: ServerResponse) => Buffer[],
  end: 'ended' | 'left open' = 'ended',
  sent = script,
): Promise<string> {
  let count = 0
  const reply = createReply(sent)
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      const pieces = reply(findNonce(body) ?? '').map((piece) => Buffer.from(piece))
      const altered = alter(pieces, count++, response)
      if (response.destroyed) return
      for (const piece of altered) response.write(piece)
      if (end === 'ended') response.end()
    })
  })
  servers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${await listenOnLoopback(server, 0)}`
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

function plan(url: string, changes: Partial<LoadPlan> = {}): LoadPlan {
  return {
    url,
    token: 't',
    script,
    framing: 'sse',
    requestBytes: 500,
    concurrency: 4,
    requests: 40,
    rampMs: 0,
    timeoutMs: 20_000,
    everyMs: 0,
    ...changes,
  }
}

test('load: counts whole replies, no more requests than asked for, and times them', async () => {
  let seen = 0
  const url = await serve((pieces) => {
    seen++
    return pieces
  })
  const report = await runLoad(plan(url))
  assert.deepEqual(report.faults, [])
  assert.equal(report.replies, 40)
  assert.equal(seen, 40)
  assert.ok(report.firstByteMs.p50 > 0 && report.firstByteMs.p99 >= report.firstByteMs.p50)
  assert.ok(report.openPeak >= 1 && report.openPeak <= 4)
})

test('load: says how many streams were open at once', async () => {
  const waiting: ServerResponse[] = []
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      const bytes = Buffer.concat(createReply(script)(findNonce(body) ?? ''))
      response.write(bytes.subarray(0, 10))
      waiting.push(response)
      // The last byte of every stream waits for the first byte of the last stream.
      if (waiting.length < 6) return
      setTimeout(() => {
        for (const open of waiting) open.end(bytes.subarray(10))
      }, 50)
    })
  })
  servers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  const url = `http://127.0.0.1:${await listenOnLoopback(server, 0)}`
  // All six share the bytes of the sixth request here, so five of them are faults by design.
  const report = await runLoad(plan(url, { concurrency: 6, requests: 6 }))
  assert.equal(report.openPeak, 6)
})

test('load: measures gaps of paced streams only', async () => {
  const url = await serve((pieces) => pieces)
  const burst = await runLoad(plan(url))
  assert.ok(Number.isNaN(burst.gapMs.p99))

  const paced = { ...script, gapMs: 20 }
  const slow = await serve((pieces, _, response) => {
    response.write(pieces[0])
    setTimeout(() => {
      response.end(Buffer.concat(pieces.slice(1)))
    }, paced.gapMs)
    return [Buffer.alloc(0)]
  }, 'left open')
  const report = await runLoad(plan(slow, { script: paced, requests: 8 }))
  assert.deepEqual(report.faults, [])
  assert.ok(report.gapMs.p50 > 10, `${report.gapMs.p50} ms`)
})

const corruptions: Record<string, (pieces: Buffer[], response: ServerResponse) => Buffer[]> = {
  'one flipped bit': (pieces) => {
    const last = pieces.at(-1)
    if (last !== undefined) last[5] = (last[5] ?? 0) ^ 1
    return pieces
  },
  'a lost event': (pieces) => pieces.filter((_, i) => i !== 4),
  'a doubled event': (pieces) => pieces.flatMap((piece, i) => (i === 4 ? [piece, piece] : [piece])),
  'a missing end': (pieces) => pieces.slice(0, -1),
  'bytes after the end': (pieces) => [...pieces, Buffer.from('\n')],
  'the reply of another request': () => createReply(script)('ffffffff'),
  'an empty reply': () => [],
  'another status with the right bytes': (pieces, response) => {
    response.statusCode = 203
    return pieces
  },
  'a cut connection': (pieces, response) => {
    response.write(pieces[0])
    response.destroy()
    return []
  },
}

for (const [name, corrupt] of Object.entries(corruptions)) {
  test(`load: ${name} in one of many replies is a fault`, async () => {
    const url = await serve((pieces, count, response) =>
      count === 17 ? corrupt(pieces, response) : pieces,
    )
    const report = await runLoad(plan(url))
    assert.equal(report.faults.length, 1, report.faults.join('; '))
    assert.ok(report.replies < 40)
  })
}

test('load: frames of Bedrock are compared as sent behind a pipe, unpacked behind a gateway', async () => {
  const pipe = await serve((pieces) => pieces, 'ended', bedrock)
  const gateway = await serve((_, count) => {
    const nonce = count.toString(16).padStart(8, '0')
    return createReply(bedrock, 'sse')(nonce)
  })
  const few: Partial<LoadPlan> = { script: bedrock, concurrency: 1, requests: 5 }
  for (const [url, framing, faults] of [
    [pipe, 'frames', 0],
    [pipe, 'sse', 1],
    [gateway, 'sse', 0],
    [gateway, 'frames', 1],
  ] as const) {
    // Each run begins with the nonce 0, each server counts on.
    const report = await runLoad(plan(url, { ...few, framing, requests: faults === 0 ? 5 : 1 }))
    assert.equal(report.faults.length, faults, `${framing}: ${report.faults.join('; ')}`)
  }
})

test('load: the reply of another request in frames is a fault', async () => {
  const url = await serve(() => createReply(bedrock)('ffffffff'), 'ended', bedrock)
  const report = await runLoad(plan(url, { script: bedrock, framing: 'frames', concurrency: 1 }))
  assert.equal(report.faults.length, 1)
})

test('load: a server that is slow to answer slows the start down instead of being overrun', async () => {
  const waiting: (() => void)[] = []
  let most = 0
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      waiting.push(() => response.end(Buffer.concat(createReply(script)(findNonce(body) ?? ''))))
      most = Math.max(most, waiting.length)
      if (waiting.length === 1) setTimeout(answerWhenFull, 20, 0)
    })
  })
  const answerWhenFull = (before: number): void => {
    if (waiting.length > before) setTimeout(answerWhenFull, 100, waiting.length)
    else for (const answer of waiting.splice(0)) answer()
  }
  servers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  const url = `http://127.0.0.1:${await listenOnLoopback(server, 0)}`
  const report = await runLoad(plan(url, { concurrency: 700, requests: 700, rampMs: 1 }))
  assert.deepEqual(report.faults, [])
  assert.equal(report.replies, 700)
  assert.ok(most > 100 && most <= 512, `${most} without an answer`)
})

test('load: by the clock requests start whether or not others were answered, until stopped', async () => {
  const waiting: (() => void)[] = []
  const stopping = new AbortController()
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      waiting.push(() => response.end(Buffer.concat(createReply(script)(findNonce(body) ?? ''))))
      if (waiting.length >= 10) stopping.abort()
      // Those on their way when it was stopped are answered at once.
      if (stopping.signal.aborted) for (const answer of waiting.splice(0)) answer()
    })
  })
  servers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  const url = `http://127.0.0.1:${await listenOnLoopback(server, 0)}`
  const everyMs = 20
  const report = await runLoad(
    plan(url, { everyMs, requests: 1_000, concurrency: 1_000 }),
    stopping.signal,
  )
  assert.deepEqual(report.faults, [])
  assert.ok(report.replies >= 10 && report.replies < 1_000, `${report.replies} replies`)
  // A stalled process makes up for lost starts, but none comes before its time.
  assert.ok(report.seconds * 1000 >= 9 * everyMs, `${report.seconds} s`)
})

test('load: a gateway that does not answer is a fault when the time is over', async () => {
  const server = createServer(() => {})
  servers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  const url = `http://127.0.0.1:${await listenOnLoopback(server, 0)}`
  const report = await runLoad(plan(url, { concurrency: 8, requests: 8, timeoutMs: 300 }))
  assert.equal(report.replies, 0)
  assert.ok(report.faults.length > 0 && report.faults.length <= 5)
  assert.match(report.faults[0] ?? '', /in time|abort/i)
})

test('load: a gateway that is not there is a fault', async () => {
  const report = await runLoad(plan('http://127.0.0.1:1', { concurrency: 2 }))
  assert.equal(report.replies, 0)
  assert.equal(report.faults.length, 2)
})
