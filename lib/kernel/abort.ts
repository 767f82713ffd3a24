/**
 * Why work stopped, as types. The reason of a cancellation or the error of a stream is one of
 * these, so that "the developer left" is never mistaken for "the upstream failed".
 */

/** The client closed its connection. Nobody's failure: 499 in the audit, no retry, still billed. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
  constructor() {
    super('the client closed the connection')
  }
}

/** The upstream's body ended before it was complete, or could not be decoded. */
export class UpstreamBroke extends Error {
  override readonly name = 'UpstreamBroke'
}

/** A bounded wait ran out. `what` names the wait for the log. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded'
  readonly afterMs: number
  constructor(what: string, afterMs: number) {
    super(`${what} timed out after ${afterMs} ms`)
    this.afterMs = afterMs
  }
}

/** The process is draining and its window is over. */
export class ShuttingDown extends Error {
  override readonly name = 'ShuttingDown'
  constructor() {
    super('the gateway is shutting down')
  }
}
