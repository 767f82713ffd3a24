/**
 * The life of `POST /v1/messages` and `/v1/messages/count_tokens`, top to bottom: line order is
 * the order of checks, each line one named step, every way out one audit line. This is where the
 * features meet; none of them knows another.
 */
import { readBillingGroup } from './audit/billing-group.ts'
import {
  type Finish,
  type InferenceEntry,
  openInferenceEntry,
  outcomeOf,
} from './audit/inference.ts'
import type { CallerHandler, Exchange, HeaderList, Reply } from './http/exchange.ts'
import { adoptClientRequestId } from './http/request-id.ts'
import { ClientGone, DeadlineExceeded } from './kernel/abort.ts'
import type { Caller } from './kernel/caller.ts'
import type { Clock } from './kernel/clock.ts'
import { fail, statusOf } from './kernel/errors.ts'
import type { Audit, Log } from './kernel/log.ts'
import type { ModelAccess } from './policy/model-access.ts'
import type { PolicyWebhook } from './policy/webhook.ts'
import type { Catalogue } from './catalogue/resolve.ts'
import { type Amount, toCents } from './spend/amount.ts'
import type { Admitted, Reserved, SpendGate } from './spend/gate.ts'
import type { Meter, OpenMeter } from './spend/meter.ts'
import type { Price } from './spend/price.ts'
import type { Served } from './spend/rate-book.ts'
import type { Usage } from './spend/usage.ts'
import { type JsonBody, scanJsonBody } from './stream/json-body.ts'
import { freeSent } from './stream/lent-bytes.ts'
import type { Outcome, Tap } from './stream/tap.ts'
import type { Admission, Place } from './upstream/admission.ts'
import type { CountInput } from './upstream/count-input.ts'
import type { Failover, Route } from './upstream/failover.ts'
import { loadTestCaller } from './upstream/load-test.ts'
import { type Sent, withoutRequestTags } from './upstream/request-tags.ts'
import type { Answer, Ask, Operation, Upstream } from './upstream/upstream.ts'

export interface InferenceParts {
  readonly access: ModelAccess
  readonly catalogue: Catalogue
  /** Null without `cri.policy.webhook`. */
  readonly webhook: PolicyWebhook | null
  readonly admission: Admission
  readonly failover: Failover
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly openMeter: OpenMeter
  readonly price: Price
  readonly spend: SpendGate
  /** Watches an answer; given the time of its call that was ours, before an upstream was asked. */
  readonly watchAnswer: ((beforeMs: number, streams: boolean) => Tap) | undefined
  /** For answers that do not say what their input was. */
  readonly countInput: CountInput
  /** The most a call may cost (`extensions.spend.reserve`). */
  readonly estimate: (body: JsonBody, routes: readonly Served[]) => Amount
  /** `admin.billing_group_tag`. */
  readonly billingTag: string | undefined
  /** `load_test_mode.enabled`. */
  readonly loadTest: boolean
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

/** nginx's status for a client that left before it got an answer; nobody receives it. */
const clientClosedRequest = 499

export function createInference(parts: InferenceParts): (operation: Operation) => CallerHandler {
  return (operation) => async (exchange, session) => {
    adoptClientRequestId(exchange)
    const caller = parts.loadTest
      ? loadTestCaller(session, exchange.headers['x-load-test-user'])
      : session
    // What is known at once is not waited for, here and below: each wait is a turn of the queue.
    const admitting = admit(operation, exchange, caller, parts)
    const admitted = admitting instanceof Promise ? await admitting : admitting
    if (admitted.kind === 'refused') return admitted.reply
    const entry = openEntry(exchange, caller, parts)
    const entering = enter(exchange, entry, parts)
    const place = entering instanceof Promise ? await entering : entering
    let leave = (): void => place.leave()
    try {
      const admittedAt = parts.clock.elapsed()
      const bytes = await exchange.readBody()
      const bodyMs = parts.clock.elapsed() - admittedAt
      const sent = { headers: exchange.headers, body: scan(bytes) }
      const request = untag(operation, sent, caller, entry, parts)
      const model = readModel(request.body, entry)
      checkModel(model, caller, parts)
      const routes = resolve(model, caller, exchange, parts)
      const ask = { ...describe(operation, exchange, request), model, caller }
      if (parts.webhook !== null) await parts.webhook.admit({ ...ask, path: exchange.path })
      const reserving = reserve(ask, routes, parts)
      const reserved = reserving instanceof Promise ? await reserving : reserving
      if (reserved.kind === 'refused') {
        leave()
        return reserved.reply
      }
      leave = () => {
        place.leave()
        reserved.release()
      }
      const beforeMs = parts.clock.elapsed() - exchange.startedAt - bodyMs
      const result = await parts.failover.first(routes, ask, exchange.path)
      place.releaseBytes()
      // A stream says what its input was; for any other answer the body may have to be counted.
      if (ask.streams) freeSent(ask.body.bytes)
      if (result.kind === 'client-gone') throw new ClientGone()
      if (result.kind === 'exhausted') refuseExhausted(result.attempts)
      const { answer } = result
      const spelling = sentTo(answer, routes)
      const { headers: usage } = admitted
      const { release } = reserved
      const own = { leave: () => place.leave(), release, beforeMs }
      return reply({ answer, sent: spelling, ask, usage, entry, ...own }, parts)
    } catch (error) {
      leave()
      return endWith(error, entry)
    }
  }
}

/** Counting tokens is free and never refused for what was spent. */
function admit(
  operation: Operation,
  { requestId }: Exchange,
  caller: Caller,
  { spend }: InferenceParts,
): Admitted | Promise<Admitted> {
  return operation === 'messages'
    ? spend.admit(caller, requestId)
    : { kind: 'admitted', headers: [] }
}

/** Holds what the call may cost, where that is asked for. */
function reserve(
  { operation, caller, requestId, body, model }: Ask,
  routes: readonly Route[],
  { spend, estimate }: InferenceParts,
): Reserved | Promise<Reserved> {
  if (operation !== 'messages') return { kind: 'reserved', release: () => {} }
  return spend.reserve(caller, requestId, () =>
    estimate(
      body,
      routes.map((route) => ({ upstream: route.upstream.name, sent: route.model, asked: model })),
    ),
  )
}

function openEntry(exchange: Exchange, caller: Caller, parts: InferenceParts): InferenceEntry {
  const { requestId, path, startedAt } = exchange
  const entry = openInferenceEntry({ requestId, caller, path, startedAt }, parts.clock, parts.audit)
  entry.loadTest = parts.loadTest
  return entry
}

/** Waits for room for the body; a refusal here is audited like any other. */
function enter(
  exchange: Exchange,
  entry: InferenceEntry,
  { admission }: InferenceParts,
): Place | Promise<Place> {
  const refuse = (error: unknown): never => endWith(error, entry)
  try {
    const bytes = Number(exchange.headers['content-length'] ?? 0)
    const place = admission.enter(bytes, exchange.signal)
    return place instanceof Promise ? place.catch(refuse) : place
  } catch (error) {
    return refuse(error)
  }
}

function scan(bytes: Uint8Array): JsonBody {
  const result = scanJsonBody(bytes)
  switch (result.kind) {
    case 'ok':
      return result.body
    case 'invalid':
      return fail('inference/invalid-json')
    case 'not-an-object':
      return fail('inference/not-an-object')
    case 'duplicate':
      return fail('inference/duplicate-key', { message: `duplicate key: ${result.key}` })
  }
}

/** The request without what it says to the gateway alone, which is noted for the audit. */
function untag(
  operation: Operation,
  sent: Sent,
  caller: Caller,
  entry: InferenceEntry,
  { billingTag }: InferenceParts,
): Sent {
  if (billingTag === undefined) return sent
  // Nobody is billed for a count.
  if (operation === 'messages') {
    entry.billing = readBillingGroup(billingTag, sent.body, caller.groups)
  }
  return withoutRequestTags(sent)
}

function readModel(body: JsonBody, entry: InferenceEntry): string {
  if (!body.has('model')) return fail('inference/model-required')
  const model = body.stringValue('model')
  if (model === undefined) return fail('inference/model-not-a-string')
  if (model === '') return fail('inference/model-required')
  entry.model = model
  return model
}

function checkModel(model: string, caller: Caller, { access }: InferenceParts): void {
  const message = access.refusal(caller, model)
  if (message !== null) fail('inference/model-denied', { message })
}

function resolve(
  model: string,
  caller: Caller,
  { requestId }: Exchange,
  { catalogue, upstreams, log }: InferenceParts,
): Route[] {
  const resolution = catalogue.resolve(model, caller.groups)
  if (resolution.kind === 'unknown') {
    log.warn(`inference: model resolution failed request_id=${requestId}: ${resolution.logText}`)
    return fail('inference/model-unknown', { message: resolution.message })
  }
  const routes: Route[] = []
  for (const route of resolution.routes) {
    const upstream = upstreams.get(route.upstream)
    if (upstream !== undefined) routes.push({ upstream, model: route.model })
  }
  return routes
}

function describe(operation: Operation, exchange: Exchange, request: Sent) {
  const { query, requestId, signal } = exchange
  return {
    ...request,
    operation,
    streams: request.body.truthy('stream'),
    query,
    requestId,
    signal,
  } satisfies Omit<Ask, 'model' | 'caller'>
}

/** The answering upstream's own spelling of the model. */
function sentTo({ upstream }: Answer, routes: readonly Route[]): string {
  return routes.find((route) => route.upstream.name === upstream)?.model ?? ''
}

function refuseExhausted(attempts: number): never {
  return fail('inference/all-failed', { message: `all upstreams failed (${attempts} attempted)` })
}

/** A call that an upstream answers. */
interface Answered {
  readonly answer: Answer
  /** The model in the answering upstream's spelling. */
  readonly sent: string
  readonly ask: Ask
  /** What the caller is told about their limits. */
  readonly usage: HeaderList
  readonly entry: InferenceEntry
  /** Gives the room of the call back. */
  readonly leave: () => void
  /** What the gateway took of the call before an upstream was asked. */
  readonly beforeMs: number
  /** Gives back what was held of the caller's caps. */
  readonly release: () => void
}

/** From here on the head is out: what goes wrong is told inside the body and in the audit. */
function reply(call: Answered, parts: InferenceParts): Reply {
  const { answer, sent, ask, usage, entry } = call
  entry.upstream = answer.upstream
  entry.upstreamRequestId = answer.upstreamRequestId
  entry.upstreamCloudRequestId = answer.upstreamCloudRequestId
  const isSuccess = answer.status >= 200 && answer.status < 300
  const isMetered = isSuccess && ask.operation === 'messages'
  const metered = { streams: ask.streams, model: sent, contentType: contentTypeOf(answer) }
  const meter = isMetered ? parts.openMeter(metered) : null
  const watch = parts.watchAnswer?.(call.beforeMs, isMetered && ask.streams)
  let counting: Promise<Finish> | undefined
  const audit = entry.tap(answer.status, (ended) => {
    const finished = finish(ended, meter, call, parts)
    if (finished instanceof Promise) counting = finished
    return finished
  })
  const leaving: Tap = {
    name: 'admission',
    settle() {
      call.leave()
      // Only what is counted needs no room any more, and input may still be asked for.
      if (counting === undefined) call.release()
      else void counting.finally(call.release)
    },
  }
  return {
    status: answer.status,
    headers: isSuccess
      ? [...answer.headers, ...usage, ['request-id', ask.requestId]]
      : answer.headers,
    body: answer.body,
    // The meter settles before the audit line that reports its figures.
    taps: [meter, audit, leaving, watch].filter((tap) => tap !== null && tap !== undefined),
    breakOff: (reason) => breakOff(reason, meter, ask, answer, parts.log),
  }
}

/** Bills what a metered reply used, however it ended. */
function finish(
  ended: Outcome,
  meter: Meter | null,
  call: Answered,
  parts: InferenceParts,
): Finish | Promise<Finish> {
  const usage = meter?.usage()
  const isIncomplete = ended === 'complete' && usage?.complete === false
  const outcome = isIncomplete ? 'upstream_incomplete' : outcomeOf(ended)
  if (usage === undefined) return { outcome, usage }
  if (!usage.inputMissing) return { outcome, usage: bill(usage, call, parts) }
  const { answer, ask, sent } = call
  return parts
    .countInput(ask, answer.upstream, sent)
    .then((input_tokens) => ({ outcome, usage: bill({ ...usage, input_tokens }, call, parts) }))
}

function bill(usage: Usage, { answer, sent, ask }: Answered, { price, spend }: InferenceParts) {
  const amount = price(usage, { upstream: answer.upstream, sent, asked: ask.model })
  spend.accrue(ask.caller, amount)
  return { ...usage, cents: toCents(amount) }
}

/** An SSE body ends with an error event that clients understand; any other must look cut. */
function breakOff(
  reason: unknown,
  meter: Meter | null,
  ask: Ask,
  answer: Answer,
  log: Log,
): string | null {
  const detail = reason instanceof Error ? reason.message : String(reason)
  log.warn(
    `upstream stream error request_id=${ask.requestId}: ${answer.upstream}: ${
      reason instanceof DeadlineExceeded ? 'the upstream fell silent: ' : ''
    }${detail}`,
  )
  const closing = meter?.closing() ?? null
  if (closing === null) return null
  const error = {
    type: 'error',
    request_id: ask.requestId,
    error: { type: 'api_error', message: 'upstream error' },
  }
  return `${closing}event: error\ndata: ${JSON.stringify(error)}\n\n`
}

function contentTypeOf({ headers }: Answer): string | null {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? null
}

/** The way out of a call that no upstream answered: its audit line, then the error itself. */
function endWith(error: unknown, entry: InferenceEntry): never {
  if (error instanceof ClientGone) entry.end(clientClosedRequest, 'client_abort')
  else entry.end(statusOf(error), 'refused')
  throw error
}
