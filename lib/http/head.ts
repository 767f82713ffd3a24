/**
 * The head of every handled reply, in wire order: what the route says, the fixed headers, what
 * the reply says of itself, the request id. Framing belongs to the edge alone: a length or an
 * encoding taken over from an upstream would let two parties disagree where a reply ends.
 */
import type { HeaderList } from './exchange.ts'

/** Names a reply may not set, by length first: most headers are dismissed by one comparison. */
const framing: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
])
const framingLengths: ReadonlySet<number> = new Set([...framing].map((name) => name.length))

/** `a` of ASCII; header names from here on are spelled in lower case. */
const lowerCaseFrom = 0x61

export interface HeadOptions {
  readonly requestId: string
  /** Only when the gateway itself terminates TLS (RFC 6797 section 7.2). */
  readonly hsts: boolean
  /** Tells the client that this connection ends with the reply. */
  readonly closes: boolean
  /** Bytes of the body, or null when it is streamed. */
  readonly contentLength: number | null
}

/** Names and values in turn, as `writeHead` takes them. */
export function composeHead(headers: HeaderList, options: HeadOptions): string[] {
  const head: string[] = []
  const extensions: string[] = []
  let type: string | undefined
  for (const [name, value] of headers) {
    if (isFraming(name)) continue
    if (leads(name)) head.push(name, value)
    else if (name === 'content-type') type = value
    else extensions.push(name, value)
  }
  head.push('X-Content-Type-Options', 'nosniff')
  head.push('X-Frame-Options', 'DENY')
  head.push('Referrer-Policy', 'no-referrer')
  head.push('Cross-Origin-Opener-Policy', 'same-origin')
  if (options.hsts) head.push('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')
  head.push(...extensions, 'x-request-id', options.requestId)
  if (type !== undefined) head.push('content-type', type)
  if (options.closes) head.push('Connection', 'close')
  if (options.contentLength !== null) head.push('Content-Length', String(options.contentLength))
  return head
}

/** Registered names are written capitalised and come first, extension names in lower case after. */
function leads(name: string): boolean {
  return name.charCodeAt(0) < lowerCaseFrom || name === 'set-cookie'
}

function isFraming(name: string): boolean {
  return framingLengths.has(name.length) && framing.has(name.toLowerCase())
}
