/**
 * A model provider on a real node:http server with scripted behaviour: it records what reaches it
 * byte for byte and answers, stalls, drips, resets or floods as told. For every spec and for the
 * demo's own tests; it knows nothing of the gateway.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'

export interface RecordedRequest {
  readonly method: string
  /** The request target as it came. */
  readonly url: string
  /** Flat name, value… in wire order, names as received. */
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Resolves when the reply is over: `complete`, or `cut` when the connection went first. */
  readonly closed: Promise<'complete' | 'cut'>
}

/** One thing done to the body of a reply, in order. A string or bytes are one write. */
export type Step =
  | string
  | Uint8Array
  | { readonly waitMs: number }
  /** One byte a write, each in an event-loop turn of its own. */
  | { readonly drip: string }
  /** So many bytes in writes of 64 KiB that wait for the reader. */
  | { readonly flood: number }
  /** `reset` destroys the socket with a TCP reset; `stall` sends nothing more and stays open. */
  | { readonly ending: 'reset' | 'stall' }

export interface Behaviour {
  readonly status?: number
  readonly statusText?: string
  /** Flat name, value…; repeated names stay repeated. Default: content-type by the body. */
  readonly headers?: readonly string[]
  /** Waited before the head. */
  readonly headAfterMs?: number
  /** Instead of a head. */
  readonly fault?: 'stall-before-head' | 'reset-before-head'
  /** A string is sent whole with its Content-Length; steps are sent chunked. */
  readonly body?: string | readonly Step[]
  /** Compresses a string body and names the coding. */
  readonly encoding?: 'gzip' | 'br' | 'deflate' | 'zstd'
}

type Script = Behaviour | ((request: RecordedRequest) => Behaviour)

export interface FakeUpstream {
  /** `http://127.0.0.1:port`, without a trailing slash. */
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  /** The `index`-th request, once it has arrived whole. */
  request(index: number): Promise<RecordedRequest>
  /** How every request is answered from now on, unless one is queued. */
  always(script: Script): void
  /** How the next requests are answered, one each. */
  next(...scripts: Script[]): void
  /** Replies under way. */
  readonly open: number
  /** Connections accepted so far. */
  readonly connections: number
  close(): Promise<void>
}

/** The JSON of an answer that costs whole cents whatever the model: a web search costs one. */
export function messageCosting(cents: number): string {
  const server_tool_use = { web_search_requests: cents }
  const usage = { input_tokens: 0, output_tokens: 0, server_tool_use }
  return JSON.stringify({ type: 'message', content: [], usage })
}

const compress = {
  gzip: gzipSync,
  br: brotliCompressSync,
  deflate: deflateSync,
  zstd: zstdCompressSync,
}

/** Starts on a free port of 127.0.0.1 (or on `port`); answers a short message until told otherwise. */
export async function createFakeUpstream(port = 0): Promise<FakeUpstream> {
  const requests: RecordedRequest[] = []
  const queued: Script[] = []
  const waiting: { readonly index: number; readonly resolve: (r: RecordedRequest) => void }[] = []
  let standing: Script = answerAsAsked
  let open = 0
  let connections = 0

  const server = createServer({ keepAliveTimeout: 60_000 }, (incoming, response) => {
    const parts: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => parts.push(chunk))
    // A client that leaves mid-request is nothing to this server.
    incoming.on('error', () => {})
    response.on('error', () => {})
    const closed = new Promise<'complete' | 'cut'>((resolve) => {
      response.on('close', () => resolve(response.writableFinished ? 'complete' : 'cut'))
    })
    incoming.on('end', () => {
      const request: RecordedRequest = {
        method: incoming.method ?? '',
        url: incoming.url ?? '',
        rawHeaders: incoming.rawHeaders,
        headers: incoming.headers,
        body: Buffer.concat(parts),
        closed,
      }
      const index = requests.push(request) - 1
      for (const entry of waiting) if (entry.index === index) entry.resolve(request)
      open++
      void closed.then(() => open--)
      const script = queued.shift() ?? standing
      void play(typeof script === 'function' ? script(request) : script, response)
    })
  })
  server.on('connection', () => connections++)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is always of this shape; node types also cover pipes.
  const { port: bound } = server.address() as AddressInfo

  return {
    url: `http://127.0.0.1:${bound}`,
    requests,
    request(index) {
      const known = requests[index]
      if (known !== undefined) return Promise.resolve(known)
      return new Promise((resolve) => waiting.push({ index, resolve }))
    },
    always: (script) => void (standing = script),
    next: (...scripts) => void queued.push(...scripts),
    get open() {
      return open
    },
    get connections() {
      return connections
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function play(behaviour: Behaviour, response: ServerResponse): Promise<void> {
  if (behaviour.fault === 'stall-before-head') return
  if (behaviour.headAfterMs !== undefined) await pause(response, behaviour.headAfterMs)
  if (behaviour.fault === 'reset-before-head') {
    response.socket?.resetAndDestroy()
    return
  }
  const { status = 200, statusText, encoding } = behaviour
  const whole = typeof behaviour.body === 'string' || behaviour.body === undefined
  const headers = [...(behaviour.headers ?? ['content-type', whole ? json : sse])]
  const writeHead = (): void => {
    // node:http takes the flat array, and with it repeated names, only in this form.
    if (statusText === undefined) response.writeHead(status, headers)
    else response.writeHead(status, statusText, headers)
  }
  if (typeof behaviour.body !== 'object') {
    const text = behaviour.body ?? ''
    const bytes = encoding === undefined ? Buffer.from(text) : compress[encoding](text)
    if (encoding !== undefined) headers.push('content-encoding', encoding)
    if (status !== 204 && status !== 304) headers.push('content-length', String(bytes.length))
    writeHead()
    response.end(bytes)
    return
  }
  writeHead()
  response.flushHeaders()
  for (const step of behaviour.body) {
    if (response.destroyed) return
    if (typeof step === 'object' && 'ending' in step && step.ending === 'stall') return
    await run(step, response)
  }
  response.end()
}

async function run(step: Step, response: ServerResponse): Promise<void> {
  if (typeof step === 'string' || step instanceof Uint8Array) {
    response.write(step)
  } else if ('ending' in step) {
    // What was written must be on the wire first: a reset throws away unsent bytes.
    await pause(response, 5)
    response.socket?.resetAndDestroy()
  } else if ('waitMs' in step) {
    await pause(response, step.waitMs)
  } else if ('drip' in step) {
    for (const byte of Buffer.from(step.drip)) {
      response.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
  } else {
    const block = Buffer.alloc(64 * 1024, 'x')
    for (let left = step.flood; left > 0 && !response.destroyed; left -= block.length) {
      if (response.write(left < block.length ? block.subarray(0, left) : block)) continue
      await drained(response)
    }
  }
}

const json = 'application/json'
const sse = 'text/event-stream; charset=utf-8'

/** Somebody who has left is not waited for: the file would not end before. */
function pause(response: ServerResponse, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer)
      response.off('close', over)
      resolve()
    }
    const timer = setTimeout(over, ms)
    response.on('close', over)
  })
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

function answerAsAsked(request: RecordedRequest): Behaviour {
  if (request.url.includes('/count_tokens')) return { body: '{"input_tokens":7}' }
  return /"stream"\s*:\s*true/.test(request.body.toString())
    ? { body: messageEvents('Hello wörld') }
    : { body: messageJson('Hello wörld') }
}

/** A whole non-streamed message, as the Messages API answers it. */
export function messageJson(text: string, model = 'claude-sonnet-4-6'): string {
  return JSON.stringify({
    id: 'msg_fix1',
    type: 'message',
    role: 'assistant',
    model,
    content: [{ type: 'text', text }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: {
      input_tokens: 1000,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 500,
    },
  })
}

/** The events of a streamed message, one string each; `deltas` text deltas spell out `text`. */
export function messageEvents(text: string, deltas = 3, model = 'claude-sonnet-4-6'): string[] {
  const event = (type: string, data: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`
  const usage = {
    input_tokens: 1000,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: 1,
  }
  const message = { id: 'msg_fix1', type: 'message', role: 'assistant', model, content: [] }
  const letters = Array.from(text)
  const size = Math.ceil(letters.length / deltas)
  const pieces = Array.from({ length: deltas }, (_, i) =>
    letters.slice(i * size, (i + 1) * size).join(''),
  )
  return [
    event('message_start', {
      message: { ...message, stop_reason: null, stop_sequence: null, usage },
    }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('ping', {}),
    ...pieces.map((piece) =>
      event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: piece } }),
    ),
    event('content_block_stop', { index: 0 }),
    event('message_delta', {
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 500 },
    }),
    event('message_stop', {}),
  ]
}
