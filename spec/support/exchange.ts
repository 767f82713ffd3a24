/** Requests as values, for specs of handlers that need no socket. */
import type { Exchange } from '../../lib/http/exchange.ts'

export interface ExchangeParts {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly clientAddress?: string
  readonly requestId?: string
  readonly signal?: AbortSignal
}

export function makeExchange(parts: ExchangeParts = {}): Exchange {
  const { headers = {}, body = '' } = parts
  return {
    method: parts.method ?? 'GET',
    path: parts.path ?? '/',
    query: parts.query ?? '',
    headers,
    headerLines: (name) => {
      const value = headers[name]
      return value === undefined ? [] : [value]
    },
    requestId: parts.requestId ?? '00000000-0000-4000-8000-000000000001',
    clientAddress: parts.clientAddress ?? '192.0.2.1',
    signal: parts.signal ?? new AbortController().signal,
    startedAt: 0,
    readBody: () => Promise.resolve(new TextEncoder().encode(body)),
  }
}
