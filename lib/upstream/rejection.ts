/**
 * Rewrites what a cloud provider refuses a request with into what the client may know of it: the
 * API's own messages, a token for a feature to leave out, or a few generic words. Pure; called by
 * every provider but `anthropic`. Nothing else of a provider's text may reach a client: it names
 * accounts, projects and ARNs. The rest is for the operator's log, without what it quotes of our
 * credentials.
 */
import { recogniseCapability } from './capability.ts'

/** What a provider answered with a status of 300 or more. */
export interface Refusal {
  readonly provider: string
  readonly status: number
  /** The body as far as it was read. */
  readonly text: string
  /** The model as the client spelled it. */
  readonly model: string
  /** The values of the client's `anthropic-beta` header, in its order. */
  readonly betas: readonly string[]
}

export interface Rejection {
  readonly status: number
  /** `error.type` of the client's error. */
  readonly type: string
  readonly message: string
}

/** Of the API's own messages; a longer one repeats the request. */
const messageMaxChars = 1000

const generic: ReadonlyMap<number, readonly [type: string, message: string]> = new Map([
  [400, ['invalid_request_error', 'upstream rejected the request']],
  [401, ['authentication_error', 'upstream authentication failed — check the gateway operator']],
  [403, ['permission_error', 'upstream denied the request — check the gateway operator']],
  [404, ['not_found_error', 'upstream resource not found']],
  [413, ['request_too_large', 'request too large for this upstream']],
  [429, ['rate_limit_error', 'upstream rate limit exceeded']],
  [501, ['not_supported', 'upstream does not support this endpoint']],
  [529, ['overloaded_error', 'upstream overloaded']],
])

/** What makes an error object the API's own; other providers imitate its outer shape only. */
const apiTypes: ReadonlySet<unknown> = new Set([
  'invalid_request_error',
  'authentication_error',
  'billing_error',
  'permission_error',
  'not_found_error',
  'request_too_large',
  'rate_limit_error',
  'api_error',
  'overloaded_error',
  'not_supported',
])

const tooLong = 'Input is too long.'
const tooLongPattern = /^input is too long\.?$/i
const tooLargePattern =
  /^The (?:request|message) size \(\d+ bytes\) exceeds \d+(?:\.\d+)? ?MB limit\.?$/i
const unknownModel = 'The provided model identifier is invalid.'

/** Errors wrapped in the message of another error: no provider goes deeper. */
const nestingMax = 2

/** Of what we send, nothing by these names is a credential, and hiding it would garble the text. */
const harmlessHeaders =
  /^(?:accept|accept-encoding|anthropic-(?:beta|version|workspace-id)|content-type|host|user-agent|x-amz-date|x-stainless-.*)$/

/** Shorter values are parts of ordinary words. */
const hiddenMinChars = 8

/**
 * The text without the values of the request's headers: providers, and proxies before them, quote
 * a request back in their refusals, its credentials and the operator's own headers included.
 */
export function hideSent(text: string, headers: readonly string[]): string {
  let hidden = text
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const value = headers[i + 1] ?? ''
    if (harmlessHeaders.test((headers[i] ?? '').toLowerCase())) continue
    for (const part of [value, value.replace(/^\S+ /, '')]) {
      if (part.length >= hiddenMinChars) hidden = hidden.replaceAll(part, '[hidden]')
    }
  }
  return hidden
}

/** The client's error for a provider's refusal. */
export function rewriteRefusal(refusal: Refusal): Rejection {
  const { status } = refusal
  const [type, words] = generic.get(status) ?? ['api_error', 'upstream error']
  const message = status === 400 || status === 413 ? explain(refusal) : null
  return { status, type, message: message ?? words }
}

function explain({ provider, status, text, model, betas }: Refusal): string | null {
  const parsed = parse(text)
  const own = apiMessage(parsed)
  if (own !== null) return own
  if (status !== 400) return null
  const said = messageOf(parsed, nestingMax)
  if (said === null) return null
  if (tooLongPattern.test(said) || tooLargePattern.test(said)) return tooLong
  if (provider === 'bedrock' && said === unknownModel) {
    return `model ${model} is not available on bedrock`
  }
  const token = recogniseCapability(said, betas)
  return token === null ? null : `capability_rejected: ${token}`
}

/** The message of an error in the API's own envelope. */
function apiMessage(parsed: unknown): string | null {
  if (field(parsed, 'type') !== 'error') return null
  const error = field(parsed, 'error')
  const message = field(error, 'message')
  if (!apiTypes.has(field(error, 'type')) || typeof message !== 'string' || message === '') {
    return null
  }
  // A cut through a pair of surrogates would leave half a character.
  return message.slice(0, messageMaxChars).replace(/[\uD800-\uDBFF]$/, '')
}

/** The message of any other shape: AWS, Google (at times in a list), Azure, JSON in the message. */
function messageOf(parsed: unknown, depth: number): string | null {
  const body: unknown = Array.isArray(parsed) ? parsed[0] : parsed
  const candidates = [
    field(body, 'message'),
    field(body, 'Message'),
    field(field(body, 'error'), 'message'),
  ]
  const said = candidates.find((each) => typeof each === 'string')
  if (typeof said !== 'string') return null
  const inner = depth > 0 && said.startsWith('{') ? messageOf(parse(said), depth - 1) : null
  return inner ?? said
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Load balancers and proxies answer in HTML: nothing to be read there.
    return null
  }
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  const found: unknown = Reflect.get(value, name)
  return found
}
