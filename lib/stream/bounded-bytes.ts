/**
 * Bytes collected piece by piece, up to a bound: once more than that came, nothing is kept until
 * the next `clear`. For readers of a stream that must hold a small part of it across chunks.
 */
export interface BoundedBytes {
  clear(): void
  append(bytes: Uint8Array, start: number, end: number): void
  /** What was collected, valid until the next call of anything here; null when it was too much. */
  view(): Uint8Array | null
}

/** Memory is taken with the first byte, `initialBytes` of it, and doubled as needed. */
export function createBoundedBytes(initialBytes: number, maxBytes: number): BoundedBytes {
  let memory: Uint8Array | null = null
  let length = 0
  let overflowed = false

  const reserve = (needed: number): Uint8Array => {
    if (memory !== null && memory.length >= needed) return memory
    let size = memory?.length ?? initialBytes
    while (size < needed) size *= 2
    const grown = Buffer.allocUnsafe(size)
    if (memory !== null) grown.set(memory.subarray(0, length))
    memory = grown
    return grown
  }
  return {
    clear() {
      length = 0
      overflowed = false
    },
    append(bytes, start, end) {
      if (overflowed) return
      const needed = length + end - start
      if (needed > maxBytes) {
        overflowed = true
        memory = null
        length = 0
        return
      }
      reserve(needed).set(bytes.subarray(start, end), length)
      length = needed
    },
    view: () => (overflowed ? null : (memory ?? nothing).subarray(0, length)),
  }
}

const nothing = new Uint8Array(0)
