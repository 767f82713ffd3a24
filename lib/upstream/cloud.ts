/**
 * What all cloud providers have in common: one request, and an answer of which a client sees only
 * the message. Streams are brought into one framing and pinged, whole answers are read to their
 * end so that a cut one fails over, refusals are rewritten. Provider files say how to ask. No
 * header and no text of a provider may pass, but what `rejection.ts` lets through.
 */
import { describeFailure } from '../egress/describe-failure.ts'
import type { EgressRequest, EgressResponse } from '../egress/egress.ts'
import type { HeaderList } from '../http/exchange.ts'
import { UpstreamBroke } from '../kernel/abort.ts'
import { compatibilityVersion } from '../kernel/compatibility.ts'
import { decodeBody, readCoding } from '../stream/decode.ts'
import { type EventDecoder, relayEvents } from '../stream/relay.ts'
import { createSseRelay } from '../stream/relay-sse.ts'
import { headerBetas } from './cloud-body.ts'
import { hideSent, rewriteRefusal } from './rejection.ts'
import type { Answer, Ask, ProviderDeps, Upstream } from './upstream.ts'
import { readBeginning, readWhole } from './whole-body.ts'

export interface CloudRequest extends Pick<EgressRequest, 'url' | 'target' | 'headers' | 'body'> {
  /** Called for a status of 401: the credential may have been revoked. */
  readonly refused?: (() => void) | undefined
}

export interface CloudProvider {
  readonly name: string
  readonly provider: string
  /** The request for one ask. May reject, with the failure of the credentials. */
  prepare(ask: Ask, model: string): Promise<CloudRequest>
  /** Of a streamed answer by its type, lower case; server-sent events when absent. */
  readonly createDecoder?: (contentType: string) => EventDecoder
}

/**
 * Longest silence inside a body. Models think for minutes without a byte; ten minutes is the
 * API's own limit for an answer that is not streamed.
 */
const bodySilenceMs = 600_000

/** Far above the longest message, whose output is bounded by tokens. */
const wholeMaxBytes = 32 * 1024 * 1024

/** Of a refusal; providers' errors are a few hundred bytes, their HTML pages some KiB. */
const refusalMaxBytes = 64 * 1024

/** For the rest of a refusal whose head is there: nobody waits longer to hear "no". */
const refusalMaxMs = 10_000

const fixedHeaders: Readonly<Record<string, string>> = {
  accept: 'application/json',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'content-type': 'application/json',
  'anthropic-version': '2023-06-01',
  'user-agent': `cc-gateway/${compatibilityVersion}`,
}

const jsonHeaders: HeaderList = [['Content-Type', 'application/json;charset=utf-8']]
const streamHeaders: HeaderList = [
  ['Content-Type', 'text/event-stream'],
  ['Cache-Control', 'no-cache'],
]

/** Statuses whose `retry-after` speaks of the provider's load, not of the operator's account. */
const passesRetryAfter: ReadonlySet<number> = new Set([503, 529])

/** An upstream that asks as `provider` says. */
export function createCloud(deps: ProviderDeps, provider: CloudProvider): Upstream {
  const exchange = async (ask: Ask, model: string): Promise<Answer> => {
    const { refused, ...request } = await provider.prepare(ask, model)
    // Preparing may have waited for a credential, and the client need not have.
    ask.signal.throwIfAborted()
    const streams = ask.streams && ask.operation === 'messages'
    const response = await deps.egress.request({
      ...request,
      method: 'POST',
      signal: ask.signal,
      headTimeoutMs: streams ? deps.upstream_ttfb_ms : deps.whole_ttfb_ms,
      bodySilenceMs,
    })
    const head = readHead(provider.name, response)
    if (response.status === 401) refused?.()
    if (response.status >= 300) {
      return refuse(deps, provider, { ask, sent: request.headers }, head)
    }
    if (!streams) return { ...head.answer, ...(await readMessage(deps, head)) }
    const decoder = provider.createDecoder?.(head.contentType) ?? createSseRelay()
    const body = relayEvents(head.body, decoder, deps.clock)
    return { ...head.answer, headers: streamHeaders, body }
  }
  return {
    name: provider.name,
    provider: provider.provider,
    async send(ask, model) {
      try {
        ask.signal.throwIfAborted()
        return { kind: 'answered', answer: await exchange(ask, model) }
      } catch (error) {
        if (ask.signal.aborted) return { kind: 'client-gone' }
        return { kind: 'failed', reason: describeFailure(error) }
      }
    },
    close: () => Promise.resolve(),
  }
}

/**
 * The headers every cloud gets, flat: fixed ones, the operator's `own`, and of the client's only
 * those of its SDK. Each call returns a list of its own.
 */
export function createCloudHeaders(own: Readonly<Record<string, string>>): (ask: Ask) => string[] {
  const ownNames = new Set(Object.keys(own).map((name) => name.toLowerCase()))
  const standing = Object.entries(fixedHeaders).filter(([name]) => !ownNames.has(name))
  const always = [...standing, ...Object.entries(own)].flat()
  return ({ headers }) => {
    const list = always.slice()
    for (const name in headers) {
      const value = headers[name]
      if (!name.startsWith('x-stainless-') || typeof value !== 'string') continue
      if (!ownNames.has(name)) list.push(name, value)
    }
    return list
  }
}

/** The client's betas just as they came, for providers that read them from the header. */
export function betasAsSent({ headers }: Ask): readonly string[] {
  const betas = headers['anthropic-beta']
  return typeof betas === 'string' && betas !== '' ? ['anthropic-beta', betas] : []
}

/** The request target at providers that have the paths of the Messages API. */
export function apiTarget(base: URL, { operation }: Ask): string {
  const path = operation === 'messages' ? '/v1/messages' : '/v1/messages/count_tokens'
  return base.pathname.replace(/\/$/, '') + path
}

interface Head {
  /** All but headers and body. */
  readonly answer: Omit<Answer, 'headers' | 'body'>
  /** Without its content coding. */
  readonly body: ReadableStream<Uint8Array>
  readonly contentType: string
  readonly retryAfter: string | null
}

function readHead(upstream: string, { status, statusText, headers, body }: EgressResponse): Head {
  const found = new Map<string, string>()
  for (let i = 0; i + 1 < headers.length; i += 2) {
    found.set((headers[i] ?? '').toLowerCase(), headers[i + 1] ?? '')
  }
  const coding = readCoding(found.get('content-encoding') ?? '')
  return {
    answer: {
      upstream,
      status,
      upstreamRequestId: found.get('request-id') ?? null,
      upstreamCloudRequestId: found.get('x-amzn-requestid') ?? null,
      reason: `${status} ${statusText === '' ? 'unknown' : statusText}`,
    },
    body: coding === null ? body : decodeBody(body, coding),
    contentType: (found.get('content-type') ?? '').toLowerCase(),
    retryAfter: found.get('retry-after') ?? null,
  }
}

async function readMessage(
  { clock, whole_ttfb_ms }: ProviderDeps,
  { body }: Head,
): Promise<Pick<Answer, 'headers' | 'body'>> {
  const limits = { maxBytes: wholeMaxBytes, maxMs: whole_ttfb_ms, what: 'the whole answer' }
  const bytes = await readWhole(body, clock, limits)
  // A proxy's or a sign-in's page may come with a status of 200; it is nobody's message.
  if (!/^\s*\{/.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'))) {
    throw new UpstreamBroke('the answer is no JSON object')
  }
  return { headers: jsonHeaders, body: bytes }
}

/** The operator reads a refusal but for what it quotes of `sent`, the client what it may know. */
async function refuse(
  { clock, log }: ProviderDeps,
  { provider, name }: CloudProvider,
  { ask, sent }: { readonly ask: Ask; readonly sent: EgressRequest['headers'] },
  { answer, body, retryAfter }: Head,
): Promise<Answer> {
  const { status } = answer
  const limits = { maxBytes: refusalMaxBytes, maxMs: refusalMaxMs, what: 'the refusal' }
  const text = hideSent(Buffer.from(await readBeginning(body, clock, limits)).toString(), sent)
  log.warn(`${provider} upstream ${status} request_id=${ask.requestId}: ${name}: ${status} ${text}`)
  const betas = headerBetas(ask.headers)
  const { type, message } = rewriteRefusal({ provider, status, text, model: ask.model, betas })
  const error = { type: 'error', request_id: ask.requestId, error: { type, message } }
  const waits = retryAfter !== null && passesRetryAfter.has(status)
  return {
    ...answer,
    headers: waits ? [...jsonHeaders, ['retry-after', retryAfter]] : jsonHeaders,
    body: Buffer.from(JSON.stringify(error)),
  }
}
