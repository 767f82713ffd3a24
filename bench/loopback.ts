/**
 * Opens a server of the benchmark on 127.0.0.1, and on no other address. `floor.ts`, `upstream.ts`
 * and `gateway.ts` call it.
 */
import { once } from 'node:events'
import type { Server } from 'node:http'

/** Listens on `port`, 0 for any free one, and returns the port; fails when it is taken. */
export async function listenOnLoopback(server: Server, port: number): Promise<number> {
  // A backlog for the 5,000 clients that arrive within seconds; node's default is 511.
  server.listen({ host: '127.0.0.1', port, backlog: 4096 })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return address.port
}
