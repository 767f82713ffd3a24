/** Lets byte scanners use the methods only a Buffer has, on any chunk. */

/** A Buffer over the same memory: its `indexOf` is the fast one. Never copies. */
export function asBuffer(chunk: Uint8Array): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}
