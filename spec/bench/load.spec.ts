import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, test } from 'node:test'
import { runLoad } from '../../bench/load.ts'
import type { LoadPlan } from '../../bench/load.ts'
import { listenOnLoopback } from '../../bench/loopback.ts'
import { buildReply, findNonce, nonceOffset } from '../../bench/reply.ts'
import type { Script } from '../../bench/reply.ts'

const script: Script = { kind: 'stream', events: 10, gapMs: 0, chunks: 'each' }
const servers: (() => void)[] = []
after(() => {
  for (const close of servers) close()
})

/** Answers like the bench's upstream, after `alter` had its way with the pieces. */
async function serve(
  alter: (pieces: Buffer[], count: number, response: ServerResponse) => Buffer[],
  end: 'ended' | 'left open' = 'ended',
): Promise<string> {
  let count = 0
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      const pieces = buildReply(script).map((piece) => Buffer.from(piece))
      const [first] = pieces
      first?.write(findNonce(body) ?? '', nonceOffset(first), 'latin1')
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
    requestBytes: 500,
    concurrency: 4,
    requests: 40,
    rampMs: 0,
    timeoutMs: 20_000,
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
      const bytes = Buffer.concat(buildReply(script))
      bytes.write(findNonce(body) ?? '', nonceOffset(bytes), 'latin1')
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
  'the reply of another request': (pieces) => {
    pieces[0]?.write('ffffffff', nonceOffset(pieces[0]), 'latin1')
    return pieces
  },
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
