/**
 * Replies as handlers make them: the few shapes the gateway answers with, with the header
 * spellings and media types that clients compare, and the wire form of every refusal. Writes
 * nothing: `send.ts` does, after `head.ts` added what every reply carries.
 */
import { type ErrorForm, errorTable, type GatewayError } from '../kernel/errors.ts'
import type { HeaderList, Reply } from './exchange.ts'

/** For answers that hold a credential or a person's data (RFC 6749 section 5.1). */
export const noStore: HeaderList = [
  ['Cache-Control', 'no-store'],
  ['Pragma', 'no-cache'],
]

/** `value` as JSON; `headers` come before the content type. */
export function json(status: number, value: unknown, headers: HeaderList = []): Reply {
  return {
    status,
    headers: [...headers, ['Content-Type', 'application/json;charset=utf-8']],
    body: JSON.stringify(value),
  }
}

/** Plain text without a final newline. */
export function text(status: number, message: string, headers: HeaderList = []): Reply {
  return {
    status,
    headers: [...headers, ['content-type', 'text/plain;charset=utf-8']],
    body: message,
  }
}

/** A page; `headers` (its content security policy, caching) come after the content type. */
export function html(status: number, markup: string, headers: HeaderList = []): Reply {
  return {
    status,
    headers: [['Content-Type', 'text/html; charset=utf-8'], ...headers],
    body: markup,
  }
}

/** 302 without a body; `headers` (cookies) come before the location. */
export function redirect(location: string, headers: HeaderList = []): Reply {
  return { status: 302, headers: [...headers, ['Location', location]], body: null }
}

/**
 * The wire form of a refusal: its row of the error table, and the id the client may quote. An API
 * with a form of its own names it for the rows that others share.
 */
export function errorReply(error: GatewayError, requestId: string, asForm?: ErrorForm): Reply {
  const { status, form: ownForm, type, final } = errorTable[error.code]
  const form = asForm ?? ownForm
  const headers: [string, string][] = []
  if (error.retryAfterSeconds !== undefined) {
    headers.push(['retry-after', String(error.retryAfterSeconds)])
  }
  if (final) headers.push(['x-should-retry', 'false'])
  switch (form) {
    case 'text':
      return text(status, error.message, headers)
    case 'oauth':
      return json(status, { error: type }, [...noStore, ...headers])
    case 'anthropic':
      return json(
        status,
        { type: 'error', request_id: requestId, error: { type, message: error.message } },
        headers,
      )
    case 'admin':
      return json(
        status,
        {
          type: 'error',
          error: { type: type ?? 'invalid_request_error', message: error.message },
          request_id: requestId,
        },
        headers,
      )
  }
}
