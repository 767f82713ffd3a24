/**
 * One request as a client of the gateway makes it: past guard and proxies, certificate looked at
 * but not insisted on. Only for the gateway's own addresses; sends no credential.
 */
import { X509Certificate } from 'node:crypto'
import { request as requestPlain, type IncomingMessage } from 'node:http'
import { request as requestSecure } from 'node:https'
import { TLSSocket } from 'node:tls'

export interface ClientView {
  readonly status: number
  readonly body: string
  /** Null for plain http. */
  readonly certificate: X509Certificate | null
  /** Why this machine does not trust the certificate, in OpenSSL's code; null: it does. */
  readonly distrust: string | null
}

/** The discovery document is below a kilobyte; a page of something else need not be read. */
const bodyMaxBytes = 64 * 1024

/** Rejects with the system's error, or the signal's reason. Redirects are not followed. */
export function askAsClient(url: URL, signal: AbortSignal): Promise<ClientView> {
  return new Promise((resolve, reject) => {
    const isSecure = url.protocol === 'https:'
    const ask = isSecure ? requestSecure : requestPlain
    const request = ask(url, {
      agent: false,
      signal,
      // What is wrong with it is to be reported, which takes a connection.
      ...(isSecure && { rejectUnauthorized: false }),
    })
    request.once('error', reject)
    request.once('response', (response) => {
      const { socket } = response
      const peer = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined
      const seen = {
        status: response.statusCode ?? 0,
        certificate: peer?.raw === undefined ? null : new X509Certificate(peer.raw),
        distrust: socket instanceof TLSSocket ? distrustOf(socket) : null,
      }
      readBody(response).then((body) => resolve({ ...seen, body }), reject)
    })
    request.end()
  })
}

function distrustOf(socket: TLSSocket): string | null {
  if (socket.authorized) return null
  // An Error by its type, a code by what Node really puts there.
  const error: unknown = socket.authorizationError
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.message
  return typeof error === 'string' ? error : 'unknown'
}

async function readBody(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    // Leaving the loop closes the connection.
    if (text.length > bodyMaxBytes) break
  }
  return text
}
