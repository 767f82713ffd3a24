/**
 * A map that cannot grow without bound: the least recently used entry goes when it is full, and
 * an entry is gone once its time is over. For values that can be made again.
 */
import type { Clock } from './clock.ts'

export interface Cache<K, V> {
  get(key: K): V | undefined
  /** Keeps `value` until `expiresAt`, milliseconds since the epoch. */
  set(key: K, value: V, expiresAt: number): void
  delete(key: K): void
  clear(): void
  readonly size: number
}

export function createCache<K, V>(entriesMax: number, clock: Clock): Cache<K, V> {
  // A Map iterates in insertion order, so re-inserting on a hit keeps the oldest use first. Nothing
  // goes before it is full: until it is half so, the order is of no use. Whoever is used while the
  // other half comes is kept.
  const orderedFrom = entriesMax / 2
  const entries = new Map<K, { value: V; expiresAt: number }>()
  return {
    get(key) {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (entry.expiresAt <= clock.now()) {
        entries.delete(key)
        return undefined
      }
      if (entries.size > orderedFrom) {
        entries.delete(key)
        entries.set(key, entry)
      }
      return entry.value
    },
    set(key, value, expiresAt) {
      entries.delete(key)
      if (entries.size >= entriesMax) {
        const oldest = entries.keys().next()
        if (!oldest.done) entries.delete(oldest.value)
      }
      entries.set(key, { value, expiresAt })
    },
    delete: (key) => void entries.delete(key),
    clear: () => entries.clear(),
    get size() {
      return entries.size
    },
  }
}
