/**
 * "Stop, nobody waits for this any more", as the parts of a request pass it on. An AbortSignal is
 * a `Cancellation`; each request has a `Canceller`, because an AbortSignal is a whole event target:
 * fifteen times as dear to make, listen to and leave. `abortWith` lets an AbortController follow one.
 */
export interface Cancellation {
  readonly aborted: boolean
  /** Why; undefined until aborted. */
  readonly reason: unknown
  /** Throws the reason once aborted. */
  throwIfAborted(): void
  /** `listener` is called when it is aborted, which happens once; not at all if it was before. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export class Canceller implements Cancellation {
  aborted = false
  reason: unknown = undefined
  #listeners: (() => void)[] = []

  /** Only the first call counts. Tells all listeners, then throws what the first of them threw. */
  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    const listeners = this.#listeners
    this.#listeners = []
    const thrown: unknown[] = []
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        thrown.push(error)
      }
    }
    if (thrown.length > 0) throw thrown[0]
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.aborted) this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener)
    if (at !== -1) this.#listeners.splice(at, 1)
  }
}

/** Aborts `controller` with the cancellation's reason; the returned function ends that. */
export function abortWith(cancellation: Cancellation, controller: AbortController): () => void {
  const abort = (): void => controller.abort(cancellation.reason)
  if (cancellation.aborted) abort()
  cancellation.addEventListener('abort', abort)
  return () => cancellation.removeEventListener('abort', abort)
}
