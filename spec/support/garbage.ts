/**
 * Collects the garbage of another Node process through its inspector, for specs that ask what
 * memory it keeps: what it has not collected yet says only how long ago it last did.
 */
import { once } from 'node:events'

/** `port` is that of the process's `--inspect`. */
export async function collectGarbage(port: number): Promise<void> {
  const listed = await fetch(`http://127.0.0.1:${port}/json/list`)
  const targets = (await listed.json()) as { readonly webSocketDebuggerUrl: string }[]
  const [target] = targets
  if (target === undefined) throw new Error(`nothing to inspect on port ${port}`)
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await once(socket, 'open')
  // Twice: what a finalizer lets go of in the first is garbage in the second.
  for (const id of [1, 2]) {
    socket.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }))
    await once(socket, 'message')
  }
  socket.close()
}
