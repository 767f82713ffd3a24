/**
 * Every refusal the gateway itself makes, as one closed table. `http/reply.ts` turns a thrown
 * `GatewayError` into the wire form of its row; nothing else decides a status or an error text.
 * What a client sees comes from here, never from a provider, a driver or a stack.
 */

/** How a refusal is written on the wire. */
export type ErrorForm =
  | 'text' // text/plain, the message alone
  | 'anthropic' // {"type":"error","request_id",…,"error":{"type","message"}}
  | 'oauth' // {"error":…}: RFC 6749 section 5.2 without a description
  | 'admin' // {"type":"error","error":{"type","message"},"request_id"}: the Admin API's

interface ErrorRow {
  readonly status: number
  readonly form: ErrorForm
  /** `error.type` of the anthropic and admin forms, `error` of the oauth form; unused for text. */
  readonly type?: string
  readonly message: string
  /** Adds `x-should-retry: false`, which clients of the Messages API obey. */
  readonly final?: true
  /** Adds `Retry-After`, whole seconds, unless `fail` was given another number. */
  readonly retryAfterSeconds?: number
}

const table = {
  'access/forbidden': { status: 403, form: 'text', message: 'forbidden' },
  'http/not-found': { status: 404, form: 'text', message: 'not found' },
  'http/length-required': { status: 411, form: 'text', message: 'length required' },
  'http/payload-too-large': { status: 413, form: 'text', message: 'payload too large' },
  'http/uri-too-long': { status: 414, form: 'text', message: 'uri too long' },
  'http/headers-too-large': {
    status: 431,
    form: 'text',
    message: 'request header fields too large',
  },
  'http/body-timeout': { status: 408, form: 'text', message: 'request body timed out' },
  'http/bad-request': { status: 400, form: 'text', message: 'bad request' },
  'http/internal': {
    status: 500,
    form: 'anthropic',
    type: 'api_error',
    message: 'internal server error',
  },
  'store/unavailable': {
    status: 503,
    form: 'anthropic',
    type: 'api_error',
    message: 'store unavailable',
    retryAfterSeconds: 5,
  },
  'session/invalid-token': {
    status: 401,
    form: 'anthropic',
    type: 'authentication_error',
    message: 'invalid token',
    final: true,
  },
  'oauth/invalid-request': { status: 400, form: 'oauth', type: 'invalid_request', message: '' },
  'oauth/unsupported-grant-type': {
    status: 400,
    form: 'oauth',
    type: 'unsupported_grant_type',
    message: '',
  },
  'oauth/authorization-pending': {
    status: 400,
    form: 'oauth',
    type: 'authorization_pending',
    message: '',
  },
  'oauth/expired-token': { status: 400, form: 'oauth', type: 'expired_token', message: '' },
  'oauth/access-denied': { status: 400, form: 'oauth', type: 'access_denied', message: '' },
  'oauth/slow-down': {
    status: 429,
    form: 'oauth',
    type: 'slow_down',
    message: '',
    retryAfterSeconds: 5,
  },
  'oauth/invalid-grant': { status: 401, form: 'oauth', type: 'invalid_grant', message: '' },
  'oauth/temporarily-unavailable': {
    status: 503,
    form: 'oauth',
    type: 'temporarily_unavailable',
    message: '',
    retryAfterSeconds: 5,
  },
  'inference/invalid-json': {
    status: 400,
    form: 'anthropic',
    type: 'invalid_request_error',
    message: 'invalid JSON',
  },
  'inference/not-an-object': {
    status: 400,
    form: 'anthropic',
    type: 'invalid_request_error',
    message: 'request body must be a JSON object',
  },
  'inference/duplicate-key': {
    status: 400,
    form: 'anthropic',
    type: 'invalid_request_error',
    message: 'duplicate key',
  },
  'inference/model-required': {
    status: 400,
    form: 'anthropic',
    type: 'invalid_request_error',
    message: 'model is required',
  },
  'inference/model-not-a-string': {
    status: 400,
    form: 'anthropic',
    type: 'invalid_request_error',
    message: 'model must be a string',
  },
  'inference/model-denied': {
    status: 400,
    form: 'anthropic',
    type: 'invalid_request_error',
    message: "model is not in your role's availableModels allowlist",
  },
  'inference/model-unknown': {
    status: 400,
    form: 'anthropic',
    type: 'invalid_request_error',
    message: "model is not in the operator's model allowlist",
  },
  'policy/blocked': {
    status: 400,
    form: 'anthropic',
    type: 'policy_blocked',
    message: "blocked by your organization's policy",
    final: true,
  },
  'inference/all-failed': {
    status: 502,
    form: 'anthropic',
    type: 'api_error',
    message: 'all upstreams failed',
  },
  'admin/unauthorized': {
    status: 401,
    form: 'admin',
    type: 'authentication_error',
    message: 'missing or invalid admin credentials',
  },
  'admin/read-only': {
    status: 403,
    form: 'admin',
    type: 'permission_error',
    message: 'requires write:spend_limits',
  },
  'admin/not-found': {
    status: 404,
    form: 'admin',
    type: 'not_found_error',
    message: 'not found',
  },
  'admin/limit-not-found': {
    status: 404,
    form: 'admin',
    type: 'not_found_error',
    message: 'spend limit not found',
  },
  'admin/invalid': {
    status: 400,
    form: 'admin',
    type: 'invalid_request_error',
    message: 'invalid JSON body',
  },
  'inference/overloaded': {
    status: 529,
    form: 'anthropic',
    type: 'overloaded_error',
    message: 'the gateway is at its limit of open requests',
    retryAfterSeconds: 10,
  },
} as const

export type ErrorCode = keyof typeof table

/** The table, for the one place that writes errors and for the spec that checks its coverage. */
export const errorTable: Readonly<Record<ErrorCode, ErrorRow>> = table

export interface FailOptions {
  /** Replaces the row's message on the wire. Must never hold provider text or secrets. */
  readonly message?: string
  /** For the operator's log only. */
  readonly detail?: string
  readonly cause?: unknown
  readonly retryAfterSeconds?: number
}

/** An expected refusal with its place in the table. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, options: FailOptions = {}) {
    const row = errorTable[code]
    super(options.message ?? row.message, { cause: options.cause })
    this.code = code
    this.detail = options.detail
    this.retryAfterSeconds = options.retryAfterSeconds ?? row.retryAfterSeconds
  }
}

/** What a caught value says, without its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The status a thrown error is answered with: a refusal's own, 500 for what is a bug. */
export function statusOf(error: unknown): number {
  return errorTable[error instanceof GatewayError ? error.code : 'http/internal'].status
}

/** Throws the refusal `code`; `never`, so that it narrows at the call. */
export function fail(code: ErrorCode, options?: FailOptions): never {
  throw new GatewayError(code, options)
}
