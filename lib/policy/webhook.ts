/**
 * The policy webhook: a service of the operator's that may refuse any request before a provider
 * sees it. Asked by inference, once for each request. It must never let a request pass that it
 * was not asked about in the words the provider will read, unless the operator said so.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import { describeFailure } from '../egress/describe-failure.ts'
import type { Egress } from '../egress/egress.ts'
import { readBounded } from '../egress/fetch.ts'
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Caller } from '../kernel/caller.ts'
import { abortWith, type Cancellation } from '../kernel/cancellation.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Audit, Log } from '../kernel/log.ts'
import { productVersion } from '../kernel/version.ts'
import type { JsonBody } from '../stream/json-body.ts'
import type { CriConfig } from './config.ts'

export type WebhookConfig = NonNullable<CriConfig['policy']['webhook']>

/** A request as it is put to the webhook. */
export interface Question {
  readonly path: string
  /** With its leading `?`, or empty. */
  readonly query: string
  readonly headers: IncomingHttpHeaders
  readonly body: JsonBody
  readonly caller: Caller
  readonly requestId: string
  readonly signal: Cancellation
}

export interface PolicyWebhook {
  /**
   * Resolves when the request may go on. Rejects with `policy/blocked`, with the refusal of a body
   * that others could read otherwise, or with the reason the client's signal was aborted with.
   */
  admit(question: Question): Promise<void>
}

export interface WebhookDeps {
  readonly egress: Egress
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

/** The reference's. A verdict is on the way of every request. */
const defaultTimeoutMs = 2000

/** Longest reason shown to a person, in characters; the reference's. */
const reasonMax = 500

const unavailable = 'policy check unavailable'

type Verdict =
  | { readonly kind: 'allow' }
  | { readonly kind: 'block'; readonly message: string | undefined }
  /** There is none: the webhook failed, or answered something else. */
  | { readonly kind: 'none'; readonly cause: 'engine_error' | 'decision_shape'; reason: string }

export function createPolicyWebhook(deps: WebhookDeps, config: WebhookConfig): PolicyWebhook {
  const { log, audit } = deps
  const ask = createAsker(deps, config)
  return {
    async admit(question) {
      refuseAmbiguous(question.body)
      const verdict = await ask(question)
      question.signal.throwIfAborted()
      if (verdict.kind === 'allow') return
      const { path, requestId, caller } = question
      const note = (event: string, cause: string): void =>
        audit(event, { request_id: requestId, sub: caller.sub, cause, path })
      if (verdict.kind === 'block') {
        note('policy.blocked', 'policy_hit')
        fail('policy/blocked', verdict.message === undefined ? {} : { message: verdict.message })
      }
      const failure = `policy check failed: ${verdict.reason} request_id=${requestId}`
      if (config.fail_closed) {
        log.warn(failure)
        note('policy.blocked', verdict.cause)
        fail('policy/blocked', { message: unavailable })
      }
      log.warn(`${failure}: let through (cri.policy.webhook.fail_closed is false)`)
      note('policy.skipped', verdict.cause)
    },
  }
}

/**
 * The bytes go to the webhook and to the provider, whose parsers need not agree on what follows:
 * a second key of one name, or bytes that are no text. With a judge in between that is a way
 * round it.
 */
function refuseAmbiguous(body: JsonBody): void {
  const seen = new Set<string>()
  for (const key of body.keys()) {
    if (seen.has(key)) fail('inference/duplicate-key', { message: `duplicate key: ${key}` })
    seen.add(key)
  }
  if (!isUtf8(body.bytes)) fail('inference/invalid-json')
}

/** Never rejects: whatever goes wrong is a verdict. */
function createAsker(
  { egress, clock }: WebhookDeps,
  { url, timeout_ms: timeoutMs = defaultTimeoutMs }: WebhookConfig,
): (question: Question) => Promise<Verdict> {
  const address = new URL(url)
  return async (question) => {
    const limit = new AbortController()
    const timer = clock.after(timeoutMs, () =>
      limit.abort(new DeadlineExceeded('the webhook', timeoutMs)),
    )
    const unlink = abortWith(question.signal, limit)
    try {
      const response = await egress.request({
        method: 'POST',
        url: address,
        headers: headersFor(question),
        body: compose(question),
        signal: limit.signal,
        headTimeoutMs: timeoutMs,
        bodySilenceMs: timeoutMs,
      })
      const bytes = await readBounded(response.body)
      if (response.status < 200 || response.status > 299) {
        return none('engine_error', `webhook returned ${response.status}`)
      }
      return readVerdict(bytes)
    } catch (error) {
      return none('engine_error', describeFailure(error))
    } finally {
      timer.cancel()
      unlink()
    }
  }
}

function headersFor({ caller, requestId }: Question): string[] {
  return Object.entries({
    'content-type': 'application/json',
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': `apps-gateway/${productVersion}`,
    'x-principal-sub': headerSafe(caller.sub),
    'x-request-id': requestId,
  }).flat()
}

function none(cause: 'engine_error' | 'decision_shape', reason: string): Verdict {
  return { kind: 'none', cause, reason }
}

/** The client's own bytes stand under `body`: JSON inside JSON needs no reading and no escaping. */
function compose({ path, query, headers, body }: Question): Uint8Array {
  const head = JSON.stringify({ path, query, headers: shownHeaders(headers) }).slice(0, -1)
  return Buffer.concat([Buffer.from(`${head},"body":`), body.bytes, Buffer.from('}')])
}

/** The headers that shape an answer and reach providers too; none of them is a credential. */
const shown =
  /^(?:accept|accept-encoding|anthropic-beta|anthropic-version|content-type|user-agent|x-stainless-.*)$/

function shownHeaders(headers: IncomingHttpHeaders): object {
  const list = Object.entries(headers).filter(([name]) => shown.test(name))
  return Object.fromEntries(list.toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

function readVerdict(bytes: Uint8Array): Verdict {
  let decision: unknown
  try {
    decision = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    // What the parser says may quote the answer, and adds nothing an operator could use.
    return none('engine_error', 'webhook returned no JSON')
  }
  if (typeof decision !== 'object' || decision === null || Array.isArray(decision)) {
    return none('engine_error', 'webhook returned a non-object decision')
  }
  const block: unknown = Reflect.get(decision, 'block')
  if (typeof block !== 'boolean') {
    return none('decision_shape', 'webhook decision has no boolean block field')
  }
  return block
    ? { kind: 'block', message: readReason(Reflect.get(decision, 'reason')) }
    : { kind: 'allow' }
}

/** A reason as a terminal may show it: one line, bounded, without control or format characters. */
function readReason(reason: unknown): string | undefined {
  if (typeof reason !== 'string') return undefined
  const line = reason
    .toWellFormed()
    .replaceAll(/[\s\p{Cc}\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]+/gu, ' ')
    .trim()
  if (line === '') return undefined
  const characters = Array.from(line.slice(0, reasonMax * 2 + 2))
  return characters.length > reasonMax ? `${characters.slice(0, reasonMax).join('')}…` : line
}

/** Header values are printable ASCII; everything else goes as percent-encoded UTF-8. */
function headerSafe(text: string): string {
  return text.toWellFormed().replaceAll(/[^\u0020-\u007E]/gu, encodeURIComponent)
}
