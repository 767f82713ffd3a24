/** Starts a server of a spec where nothing from outside can reach it. */
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'

/** Listens on a free port of 127.0.0.1; that port. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is always of this shape; node types also cover pipes.
  const { port } = server.address() as AddressInfo
  return port
}
