/**
 * Provider `anthropic`: the Messages API itself, relayed byte for byte in both directions. Asked
 * by failover. It must never let a credential of the client's reach the upstream, nor one of the
 * upstream's reach the client.
 */
import { describeFailure } from '../egress/describe-failure.ts'
import type { EgressResponse } from '../egress/egress.ts'
import type { HeaderList } from '../http/exchange.ts'
import type { Caller } from '../kernel/caller.ts'
import { compatibilityVersion } from '../kernel/compatibility.ts'
import { decodeBody, readCoding, type ContentCoding } from '../stream/decode.ts'
import type { ProviderConfig } from './config.ts'
import { createFederatedTokens } from './federation.ts'
import { createTokenCache, fixedToken, type Token, type TokenCache } from './token-cache.ts'
import type { Answer, Ask, AttemptResult, ProviderDeps, Upstream } from './upstream.ts'

type Config = ProviderConfig<'anthropic'>

const defaultBaseUrl = 'https://api.anthropic.com'

/**
 * Longest silence of an upstream inside a body. Models think for minutes without a byte, and the
 * API pings every few seconds while they do; ten minutes is its own limit for an answer that is
 * not streamed.
 */
const bodySilenceMs = 600_000

/** The beta that makes the API accept OAuth bearers. */
const oauthBeta = 'oauth-2025-04-20'

const ownUserAgent = `cc-gateway/${compatibilityVersion}`

const paths = {
  messages: '/v1/messages',
  count_tokens: '/v1/messages/count_tokens',
} as const

/** What of a client's request may reach the API besides `x-stainless-*` and the user-agent. */
const forwardedNames = ['content-type', 'anthropic-version', 'accept', 'accept-encoding'] as const

/** Sent when the client's request has no such header: what HTTP clients send by themselves. */
const defaultValues: Readonly<Record<string, string>> = {
  accept: '*/*',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'content-type': 'application/json',
}

/**
 * What of a response stays here: its framing, which ends at this hop; ids, which are replaced;
 * the operator's rate limits and the provider's routing, which are nobody else's; and what the
 * gateway says for itself on every reply.
 */
const keptBack: ReadonlySet<string> = new Set([
  'connection',
  'transfer-encoding',
  'content-length',
  'request-id',
  'x-request-id',
  'via',
  'cf-ray',
  'x-content-type-options',
  'x-frame-options',
  'referrer-policy',
  'cross-origin-opener-policy',
])
const keptBackPrefix = 'anthropic-ratelimit-'

export function createAnthropic(deps: ProviderDeps, config: Config): Upstream {
  const { egress, upstream_ttfb_ms } = deps
  const base = new URL(config.base_url ?? defaultBaseUrl)
  const prefix = base.pathname.replace(/\/$/, '')
  const tokens = tokensOf(deps, config, base)
  const headersFor = createRequestHeaders(config)

  const send = async (ask: Ask, model: string): Promise<AttemptResult> => {
    try {
      const token = await tokens.get(ask.signal)
      const response = await egress.request({
        method: 'POST',
        url: base,
        target: prefix + paths[ask.operation] + ask.query,
        headers: headersFor(ask, token.value),
        body: bodyFor(ask, model),
        signal: ask.signal,
        headTimeoutMs: upstream_ttfb_ms,
        bodySilenceMs,
      })
      if (response.status === 401) tokens.refuse(token)
      return { kind: 'answered', answer: toAnswer(config, ask, response) }
    } catch (error) {
      if (ask.signal.aborted) return { kind: 'client-gone' }
      return { kind: 'failed', reason: describeFailure(error) }
    }
  }
  return { name: config.name, provider: 'anthropic', send, close: () => Promise.resolve() }
}

/** The client's bytes; spliced only when this provider spells the model another way. */
function bodyFor(ask: Ask, model: string): Uint8Array {
  if (model === ask.model) return ask.body.bytes
  return ask.body.edit([{ kind: 'set', key: 'model', value: model }])
}

/** API key, OAuth token, or access tokens that an identity token is exchanged for. */
function tokensOf(deps: ProviderDeps, { name, auth }: Config, base: URL): TokenCache<Token> {
  if ('api_key' in auth) return fixedToken(auth.api_key)
  if ('oauth_token' in auth) return fixedToken(auth.oauth_token)
  const source = createFederatedTokens(deps, base, auth)
  return createTokenCache(deps, `access token of ${name}`, source)
}

function createRequestHeaders(config: Config): (ask: Ask, token: string) => string[] {
  const own = Object.entries(config.headers).flat()
  const ownNames = new Set(Object.keys(config.headers).map((name) => name.toLowerCase()))
  // Bearers need a beta of their own beside the client's.
  const bearer = !('api_key' in config.auth)

  return ({ headers, caller }, token) => {
    const list = own.slice()
    if (bearer) list.push('authorization', `Bearer ${token}`)
    else list.push('x-api-key', token)
    for (const name of forwardedNames) {
      const value = headers[name] ?? defaultValues[name]
      if (typeof value === 'string' && !ownNames.has(name)) list.push(name, value)
    }
    const agent = headers['user-agent']
    list.push('user-agent', agent === undefined ? ownUserAgent : `${agent} ${ownUserAgent}`)
    const betas = headers['anthropic-beta']
    // A bearer needs its beta even when the client already sent it: the API accepts a repetition.
    if (typeof betas === 'string') list.push('anthropic-beta', bearer ? join(betas) : betas)
    else if (bearer) list.push('anthropic-beta', oauthBeta)
    for (const name in headers) {
      if (!name.startsWith('x-stainless-') || ownNames.has(name)) continue
      const value = headers[name]
      if (typeof value === 'string') list.push(name, value)
    }
    if (config.forward_user_identity) pushIdentity(list, caller)
    return list
  }
}

function join(betas: string): string {
  return betas === '' ? oauthBeta : `${betas}, ${oauthBeta}`
}

function pushIdentity(list: string[], { sub, email }: Caller): void {
  list.push('x-claude-gateway-user-id', headerSafe(sub))
  if (email === undefined) return
  list.push('x-claude-gateway-user-email', headerSafe(email))
  list.push('x-litellm-end-user-id', headerSafe(email))
}

/** Header values are printable ASCII; everything else goes as percent-encoded UTF-8. */
function headerSafe(text: string): string {
  return text.toWellFormed().replaceAll(/[^\u0020-\u007E]/gu, encodeURIComponent)
}

function toAnswer(config: Config, { caller }: Ask, response: EgressResponse): Answer {
  const { status, statusText } = response
  const { passed, requestId, cloudRequestId, coding } = sortHeaders(response.headers)
  const plain = coding === null ? response.body : decodeBody(response.body, coding)
  // The user's own limit at a gateway behind us: another upstream would let them past it.
  const final = status === 429 && config.forward_user_identity && caller.email !== undefined
  return {
    upstream: config.name,
    status,
    headers: passed,
    body: status === 204 || status === 304 ? null : plain,
    upstreamRequestId: requestId,
    upstreamCloudRequestId: cloudRequestId,
    reason: `${status} ${statusText}`.trimEnd(),
    final,
  }
}

interface SortedHeaders {
  readonly passed: HeaderList
  readonly requestId: string | null
  readonly cloudRequestId: string | null
  /** Undone here; null when there is none, or none that can be undone, which then is passed. */
  readonly coding: ContentCoding | null
}

function sortHeaders(flat: readonly string[]): SortedHeaders {
  const passed: [string, string][] = []
  let requestId: string | null = null
  let cloudRequestId: string | null = null
  let coding: ContentCoding | null = null
  let hop = ''
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i] ?? ''
    const value = flat[i + 1] ?? ''
    const lower = name.toLowerCase()
    if (lower === 'request-id') requestId = value
    else if (lower === 'x-amzn-requestid') cloudRequestId = value
    else if (lower === 'connection') hop = value.toLowerCase()
    else if (lower === 'content-encoding') {
      coding = readCoding(value)
      if (coding !== null || value.toLowerCase() === 'identity') continue
    }
    if (!keptBack.has(lower) && !lower.startsWith(keptBackPrefix)) passed.push([name, value])
  }
  const beyond = hop === '' || hop === 'keep-alive' || hop === 'close' ? passed : past(hop, passed)
  return { passed: beyond, requestId, cloudRequestId, coding }
}

/** Without what the upstream's `Connection` header says is for this hop (RFC 9110 section 7.6.1). */
function past(hop: string, headers: HeaderList): HeaderList {
  const names = hop.split(',').map((name) => name.trim())
  return headers.filter(([name]) => !names.includes(name.toLowerCase()))
}
