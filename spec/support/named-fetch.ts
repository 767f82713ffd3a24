/**
 * `fetch` for a name that no resolver knows, served on loopback with a certificate of a spec's own
 * authority: what a client of a deployment behind TLS sees. Everything else is reached as usual.
 */
import { Agent, buildConnector, fetch as fetchOver } from 'undici'

export interface NamedServer {
  readonly hostname: string
  readonly port: number
  /** PEM of the authority that clients trust. */
  readonly ca: string
  /** A loopback address to come from; the usual one when absent. */
  readonly from?: string
}

export interface Scope {
  after(action: () => Promise<void>): void
}

export function createNamedFetch(scope: Scope, server: NamedServer): typeof fetch {
  const { hostname, port, ca, from } = server
  const plain = buildConnector({})
  const named = buildConnector({ ca })
  const agent = new Agent({
    connect(options, callback) {
      if (options.hostname !== hostname) return plain(options, callback)
      const target = { hostname: '127.0.0.1', port: String(port), servername: hostname }
      return named({ ...options, ...target, localAddress: from ?? null }, callback)
    },
  })
  scope.after(() => agent.destroy())
  return async (input, init) => {
    const wanted = new Request(input, init)
    const body = wanted.body === null ? null : await wanted.text()
    const answer = await fetchOver(wanted.url, {
      method: wanted.method,
      headers: [...wanted.headers],
      body,
      redirect: 'manual',
      dispatcher: agent,
    })
    // The same bytes and fields, as the class that the rest of the specs knows.
    const response = new Response(isBodiless(answer.status) ? null : readableOf(answer.body), {
      status: answer.status,
      headers: [...answer.headers],
    })
    return response
  }
}

const isBodiless = (status: number): boolean => status === 204 || status === 304

function readableOf(body: AsyncIterable<Uint8Array> | null): ReadableStream<Uint8Array> | null {
  return body === null ? null : ReadableStream.from(body)
}
