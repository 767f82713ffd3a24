/**
 * The floor: the least a streaming proxy on node:http can do. It pipes the request up and the
 * answer down over kept-alive connections and looks at nothing. Every figure of the benchmark is
 * a ratio to this process. Arguments: the upstream's port.
 */
import { Agent, createServer, request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { listenOnLoopback } from './loopback.ts'
import { serveParent } from './child.ts'

const upstreamPort = Number(process.argv[2])
const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 4096 })

const server = createServer((incoming, outgoing) => {
  const up = request({
    host: '127.0.0.1',
    port: upstreamPort,
    agent,
    method: incoming.method,
    path: incoming.url,
    headers: endToEnd(incoming.headers),
  })
  up.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
    answer.pipe(outgoing)
    answer.on('error', () => outgoing.destroy())
  })
  up.on('error', () => outgoing.destroy())
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) up.destroy()
  })
  incoming.pipe(up)
})

/** Connection and framing headers belong to one hop. */
function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const kept = { ...headers }
  delete kept.connection
  delete kept['keep-alive']
  delete kept['transfer-encoding']
  return kept
}

const port = await listenOnLoopback(server, 0)
serveParent(() => port)
