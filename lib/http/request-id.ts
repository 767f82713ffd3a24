/**
 * Request ids are the gateway's own, except on inference, where the client's id is taken so that
 * both sides' logs name a call alike. Ids of proxies (`x-request-id`, `traceparent`) are ignored.
 */
import type { Exchange } from './exchange.ts'

/** Nothing that could break a header, a log line or a shell. */
const wellFormed = /^[A-Za-z0-9._-]{1,64}$/

/** Makes the client's `x-client-request-id` the id of `exchange` when it is well formed. */
export function adoptClientRequestId(exchange: Exchange): void {
  const id = exchange.headers['x-client-request-id']
  if (typeof id === 'string' && wellFormed.test(id)) exchange.requestId = id
}
