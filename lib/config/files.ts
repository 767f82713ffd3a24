/**
 * Files that the configuration names, read whole and bounded: a path that leads to an endless
 * device or a database dump must end in a message, not in memory.
 */
import { closeSync, openSync, readSync } from 'node:fs'

/** Far above any configuration, key or certificate bundle; parsing this much takes a second. */
export const fileBytesMax: number = 4 * 1024 * 1024

/** Throws the system's error, or one with the code EFBIG. Reads pipes too (`--config <(…)`). */
export function readBoundedFile(path: string): Uint8Array {
  const descriptor = openSync(path, 'r')
  try {
    const chunks: Uint8Array[] = []
    let length = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(64 * 1024)
      const read = readSync(descriptor, chunk)
      if (read === 0) return Buffer.concat(chunks, length)
      chunks.push(chunk.subarray(0, read))
      length += read
      if (length > fileBytesMax) {
        throw Object.assign(new Error(`${path} is larger than ${fileBytesMax} bytes`), {
          code: 'EFBIG',
        })
      }
    }
  } finally {
    closeSync(descriptor)
  }
}
