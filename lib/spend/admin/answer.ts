/**
 * How the Admin API answers: its own envelope and its own request id beside the gateway's
 * (wire/edge/4-admin-spend). Every answer of the API is made here.
 */
import { randomUUID } from 'node:crypto'
import type { HeaderList, Reply } from '../../http/exchange.ts'
import { json } from '../../http/reply.ts'

const errors = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  api_error: 503,
} as const

export type AdminErrorType = keyof typeof errors

/** A refusal that a part of the API throws and its edge answers. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly type: AdminErrorType

  constructor(type: AdminErrorType, message: string) {
    super(message)
    this.type = type
  }
}

/** Throws the refusal of a request that is not as the API wants it. */
export function invalid(message: string): never {
  throw new AdminError('invalid_request_error', message)
}

export function createRequestId(): string {
  return `req_${randomUUID().replaceAll('-', '')}`
}

/** `read`: the answer shows spend and names, and is not to be kept. */
export function answer(value: unknown, requestId: string, read: boolean): Reply {
  const headers: HeaderList = [
    ...(read ? ([['Cache-Control', 'no-store']] as const) : []),
    ['request-id', requestId],
  ]
  return json(200, value, headers)
}

/** Seconds after which a database that was away is worth asking again. */
const retryAfterSeconds = 5

export function refusal({ type, message }: AdminError, requestId: string): Reply {
  const headers: HeaderList = [
    ...(type === 'api_error' ? ([['retry-after', String(retryAfterSeconds)]] as const) : []),
    ['request-id', requestId],
  ]
  const body = { type: 'error', error: { type, message }, request_id: requestId }
  return json(errors[type], body, headers)
}
