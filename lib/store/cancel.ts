/**
 * Asks Postgres to stop a statement nobody waits for any more. Best effort: the caller has
 * given up on the connection already and never waits for this.
 */
import { connect } from 'node:net'
import type pg from 'pg'

/** CancelRequest, protocol documentation 54.2.9: length, code, process number, secret. */
const requestBytes = 16
const cancelRequestCode = 80_877_102
/** When the server does not take it by then, the server is what hangs. */
const patienceMs = 2000

/** Sends the request on a connection of its own, without TLS, which servers accept for it. */
export function cancelStatement(client: pg.Client): void {
  const { process: processNumber, secret } = backendKey(client)
  if (processNumber === null || secret === null) return
  const request = Buffer.alloc(requestBytes)
  request.writeInt32BE(requestBytes, 0)
  request.writeInt32BE(cancelRequestCode, 4)
  request.writeInt32BE(processNumber, 8)
  request.writeInt32BE(secret, 12)
  const socket = client.host.startsWith('/')
    ? connect(`${client.host}/.s.PGSQL.${client.port}`)
    : connect({ host: client.host, port: client.port })
  socket.setTimeout(patienceMs, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.unref()
  socket.end(request)
}

/** The driver keeps both, its types know neither. */
function backendKey(client: pg.Client): { process: number | null; secret: number | null } {
  const read = (name: 'processID' | 'secretKey'): number | null => {
    const value: unknown = Reflect.get(client, name)
    return typeof value === 'number' ? value : null
  }
  return { process: read('processID'), secret: read('secretKey') }
}
