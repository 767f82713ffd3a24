/** A plain HTTP client over node:http for journeys: raw headers in, whole replies out. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http'

export interface ClientReply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** Flat name, value… in wire order. */
  readonly rawHeaders: readonly string[]
  readonly body: string
}

export interface ClientOptions {
  readonly method?: string
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** Sends one request on a connection of its own; `head` resolves with the response head. */
export function open(
  url: string,
  options: ClientOptions = {},
): { readonly request: ClientRequest; readonly head: Promise<IncomingMessage> } {
  const { method = options.body === undefined ? 'GET' : 'POST', token, body } = options
  const sent = request(url, {
    method,
    agent: false,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      ...options.headers,
    },
  })
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve)
    sent.on('error', reject)
  })
  sent.end(body)
  return { request: sent, head }
}

export async function send(url: string, options: ClientOptions = {}): Promise<ClientReply> {
  const response = await open(url, options).head
  const body = await readAll(response)
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body,
  }
}

/** Rejects when the connection ends before the body does. */
export async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  if (!response.complete) throw new Error('the body was cut')
  return Buffer.concat(chunks).toString('utf8')
}
