/**
 * A fake Anthropic API for load: answers every POST with the reply of the current script. Its own
 * process, so that its work is not on anybody's bill. Arguments: the port, 0 for any free one.
 * It counts what it served and refuses a cut or unmarked request with 400, which voids the round.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { serveParent } from './child.ts'
import { listenOnLoopback } from './loopback.ts'
import { buildReply, findNonce, nonceLength, nonceOffset } from './reply.ts'
import type { Script } from './reply.ts'

/** The nonce stands in the first bytes of a body; looking further would only hide a fault. */
const searchedBytes = 512

let script: Script = { kind: 'stream', events: 20, gapMs: 0, chunks: 'each' }
let pieces = buildReply(script)
let served = 0

const server = createServer((incoming, outgoing) => {
  let start = Buffer.alloc(0)
  let received = 0
  incoming.on('data', (chunk: Buffer) => {
    received += chunk.length
    if (start.length < searchedBytes)
      start = Buffer.concat([start, chunk.subarray(0, searchedBytes)])
  })
  incoming.on('end', () => {
    const nonce = findNonce(start)
    if (nonce === undefined || !isWhole(incoming, received)) {
      outgoing.writeHead(400).end('the bench upstream got a cut or foreign body')
      return
    }
    served++
    answer(nonce, outgoing)
  })
})
// Longer than any round, so that no kept-alive connection dies between two rounds.
server.keepAliveTimeout = 600_000
server.requestTimeout = 0

function isWhole(incoming: IncomingMessage, received: number): boolean {
  const announced = incoming.headers['content-length']
  return announced === undefined || Number(announced) === received
}

function answer(nonce: string, outgoing: ServerResponse): void {
  const [template = Buffer.alloc(0), ...rest] = pieces
  const first = Buffer.from(template)
  first.write(nonce, nonceOffset(template), nonceLength, 'latin1')
  const streams = script.kind === 'stream'
  outgoing.writeHead(200, {
    'content-type': streams ? 'text/event-stream; charset=utf-8' : 'application/json',
    ...(streams ? {} : { 'content-length': first.length }),
    'cache-control': 'no-cache',
    'request-id': `req_bench_${nonce}`,
    'anthropic-organization-id': '00000000-0000-4000-8000-000000000000',
    'anthropic-ratelimit-requests-limit': '4000',
    'anthropic-ratelimit-requests-remaining': '3999',
    'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
  })
  outgoing.write(first)
  if (script.gapMs === 0) {
    for (const piece of rest) outgoing.write(piece)
    outgoing.end()
    return
  }
  let next = 0
  const timer = setInterval(() => {
    const piece = rest[next++]
    if (piece !== undefined) outgoing.write(piece)
    if (next < rest.length) return
    clearInterval(timer)
    outgoing.end()
  }, script.gapMs)
  outgoing.on('close', () => clearInterval(timer))
}

const port = await listenOnLoopback(server, Number(process.argv[2] ?? 0))
serveParent((question) => {
  // Asked by rounds.ts only, which builds these objects itself.
  const asked = question as
    | { kind: 'port' }
    | { kind: 'served' }
    | { kind: 'script'; script: Script }
  if (asked.kind === 'port') return port
  if (asked.kind === 'served') return served
  script = asked.script
  pieces = buildReply(script)
  served = 0
  return null
})
