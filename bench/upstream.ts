/**
 * A fake Anthropic API, or a fake Bedrock, for load: answers every POST with the reply of the
 * current script. Its own process, so that its work is not on anybody's bill. Arguments: the port,
 * 0 for any free one. It counts what it served and refuses a cut, an unmarked or a misdirected
 * request with 400, which voids the round.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { serveParent } from './child.ts'
import { listenOnLoopback } from './loopback.ts'
import { createReply, findNonce } from './reply.ts'
import type { Script } from './reply.ts'

/** From the last stream's request to the first stream's end; clients see both a little later. */
const togetherMs = 2_000

/** The nonce stands in the first bytes of a body; looking further would only hide a fault. */
const searchedBytes = 512

let script: Script = {
  provider: 'anthropic',
  kind: 'stream',
  events: 20,
  gapMs: 0,
  chunks: 'each',
  together: 0,
}
let reply = createReply(script)
let served = 0
let allOpenAt = Infinity

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
    if (nonce === undefined || !isWhole(incoming, received) || !isForUs(incoming)) {
      outgoing.writeHead(400).end('the bench upstream got a cut or foreign body')
      return
    }
    if (++served === script.together) allOpenAt = performance.now()
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

/** A gateway asks Bedrock on the model's own path, signed; the floor passes on what it got. */
function isForUs({ url = '', headers }: IncomingMessage): boolean {
  if (!url.startsWith('/model/')) return url.startsWith('/v1/messages')
  const isSigned = headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') === true
  return script.provider === 'bedrock' && url.endsWith('/invoke-with-response-stream') && isSigned
}

function answer(nonce: string, outgoing: ServerResponse): void {
  const [first = Buffer.alloc(0), ...rest] = reply(nonce)
  outgoing.writeHead(200, headersFor(nonce, first))
  outgoing.write(first)
  if (script.gapMs === 0) {
    for (const piece of rest) outgoing.write(piece)
    outgoing.end()
    return
  }
  let next = 0
  const timer = setInterval(() => {
    if (next === rest.length - 1 && mustWait()) return
    const piece = rest[next++]
    if (piece !== undefined) outgoing.write(piece)
    if (next < rest.length) return
    clearInterval(timer)
    outgoing.end()
  }, script.gapMs)
  outgoing.on('close', () => clearInterval(timer))
}

/** On a busy machine the first stream may be through before the last is open. */
function mustWait(): boolean {
  return script.together > 0 && performance.now() < allOpenAt + togetherMs
}

function headersFor(nonce: string, first: Buffer): Record<string, string | number> {
  if (script.provider === 'bedrock') {
    return {
      'content-type': 'application/vnd.amazon.eventstream',
      'x-amzn-requestid': `00000000-0000-4000-8000-0000${nonce}`,
      'x-amzn-bedrock-content-type': 'application/json',
    }
  }
  const streams = script.kind === 'stream'
  return {
    'content-type': streams ? 'text/event-stream; charset=utf-8' : 'application/json',
    ...(streams ? {} : { 'content-length': first.length }),
    'cache-control': 'no-cache',
    'request-id': `req_bench_${nonce}`,
    'anthropic-organization-id': '00000000-0000-4000-8000-000000000000',
    'anthropic-ratelimit-requests-limit': '4000',
    'anthropic-ratelimit-requests-remaining': '3999',
    'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
  }
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
  reply = createReply(script)
  served = 0
  allOpenAt = Infinity
  return null
})
