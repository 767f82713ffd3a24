/**
 * All the ways a network cuts bytes into chunks. Whatever reads a stream must come to the same
 * result for each of them; a spec runs its case once per chunking and names it in the failure.
 */
import { createRandom, type Random } from './random.ts'

export interface Chunking {
  /** Says how to get it again: random ones name their seed. */
  readonly name: string
  readonly chunks: readonly Uint8Array[]
}

/** How many random chunkings of each input: enough to hit every state of a scanner often. */
const randomRounds = 8

export function chunkings(input: Uint8Array | string, random?: Random): readonly Chunking[] {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input
  const all = [
    { name: 'whole', chunks: cutAt(bytes, []) },
    { name: 'a byte at a time', chunks: cutAt(bytes, Array.from(bytes.keys())) },
    { name: 'inside code points', chunks: cutAt(bytes, insideCodePoints(bytes)) },
    { name: 'inside CRLF', chunks: cutAt(bytes, insideLineEnds(bytes)) },
    { name: 'behind line feeds', chunks: cutAt(bytes, behindByte(bytes, 0x0a)) },
    { name: 'with empty chunks', chunks: withEmptyChunks(cutAt(bytes, behindByte(bytes, 0x22))) },
  ]
  const dice = random ?? createRandom()
  for (let round = 0; round < randomRounds; round++) {
    const seed = dice.below(2 ** 32)
    all.push({ name: `random (chunking seed ${seed})`, chunks: cutRandomly(bytes, seed) })
  }
  return all
}

/** Two chunks for every place `bytes` can be cut in two. */
export function everySplit(input: Uint8Array | string): readonly Chunking[] {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input
  return Array.from(bytes.keys(), (offset) => ({
    name: `cut at ${offset}`,
    chunks: cutAt(bytes, [offset]),
  }))
}

/** Chunks of mostly small, sometimes large size. */
export function cutRandomly(bytes: Uint8Array, seed: number): readonly Uint8Array[] {
  const random = createRandom(seed)
  const cuts: number[] = []
  let at = 0
  while (at < bytes.length) {
    at += 1 + random.below(random.chance(80) ? 12 : 400)
    cuts.push(at)
  }
  return cutAt(bytes, cuts)
}

/** The chunks between the offsets; none of them is empty unless `bytes` is. */
function cutAt(bytes: Uint8Array, offsets: readonly number[]): readonly Uint8Array[] {
  const inner = offsets.filter((offset) => offset > 0 && offset < bytes.length)
  const edges = [0, ...inner, bytes.length]
  return edges.slice(1).map((end, index) => isolate(bytes.subarray(edges[index], end)))
}

/** A copy between foreign bytes, so that reading past a chunk's ends shows. */
function isolate(chunk: Uint8Array): Uint8Array {
  const padded = new Uint8Array(chunk.length + 6).fill(0x22)
  padded.set(chunk, 3)
  return padded.subarray(3, 3 + chunk.length)
}

function behindByte(bytes: Uint8Array, byte: number): number[] {
  return Array.from(bytes.keys()).filter((offset) => bytes[offset - 1] === byte)
}

function insideCodePoints(bytes: Uint8Array): number[] {
  return Array.from(bytes.keys()).filter((offset) => ((bytes[offset] ?? 0) & 0xc0) === 0x80)
}

function insideLineEnds(bytes: Uint8Array): number[] {
  return Array.from(bytes.keys()).filter(
    (offset) => bytes[offset] === 0x0a && bytes[offset - 1] === 0x0d,
  )
}

function withEmptyChunks(chunks: readonly Uint8Array[]): readonly Uint8Array[] {
  const empty = new Uint8Array(0)
  return [empty, ...chunks.flatMap((chunk) => [chunk, empty, empty])]
}
