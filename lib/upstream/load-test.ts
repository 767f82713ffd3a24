/**
 * `load_test_mode`: the whole gateway works, only no provider is asked. Each request is built and
 * signed by its real provider file, thrown away, and answered here with a canned message of a
 * known size and pace. Never silent: the audit line and the boot warning say that it is on.
 */
import type { Egress } from '../egress/egress.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Store } from '../store/store.ts'
import { createCannedMessage, type CannedMessage, type CannedReply } from './canned-reply.ts'
import type { Answer, Ask, Upstream } from './upstream.ts'

/** What a JSON request weighs per input token; the real figure depends on the language. */
const bytesPerInputToken = 4

/**
 * Takes requests like the real one and drops them; what it answers is never looked at. Requests
 * are signed with real credentials, which `signIn` fetches.
 */
export function createDiscardingEgress(
  signIn: Egress['fetch'] = () => Promise.resolve(new Response('{}')),
): Egress {
  return {
    request: () =>
      Promise.resolve({
        status: 200,
        statusText: 'OK',
        headers: ['content-type', 'application/json'],
        body: new Response('{}').body ?? new ReadableStream<Uint8Array>(),
      }),
    fetch: signIn,
    close: () => Promise.resolve(),
  }
}

/** Answers in place of `inner`, which must have been made with a discarding egress. */
export function createLoadTestUpstream(
  inner: Upstream,
  clock: Clock,
  canned: CannedReply,
): Upstream {
  const message = createCannedMessage(clock, canned)
  return {
    name: inner.name,
    provider: inner.provider,
    close: () => inner.close(),
    async send(ask, model) {
      const built = await inner.send(ask, model)
      if (built.kind !== 'answered') return built
      if (built.answer.body instanceof ReadableStream) await built.answer.body.cancel()
      return { kind: 'answered', answer: answer(inner.name, ask, model, message) }
    },
  }
}

/**
 * The developer a load generator plays: with `x-load-test-user: <1 to 7 digits>` a principal of
 * its own that keeps the session's email and groups, otherwise the session's.
 */
export function loadTestCaller(caller: Caller, header: string | string[] | undefined): Caller {
  if (typeof header !== 'string' || !/^\d{1,7}$/.test(header)) return caller
  return { ...caller, sub: `${caller.sub}#load-${Number(header)}` }
}

/** Canned replies are metered as real ones: they may not be mixed with what people spent. */
export async function hasRecordedSpend(store: Store): Promise<boolean> {
  const { rows } = await store.query<{ recorded: boolean }>(
    'select exists (select from spend) or exists (select from pooled_spend) as recorded',
    [],
    // Boot waits for it once; the pool's own connect deadline is shorter.
    { timeoutMs: 10_000 },
  )
  return rows[0]?.recorded === true
}

function answer(upstream: string, ask: Ask, model: string, message: CannedMessage): Answer {
  const inputTokens = Math.max(1, Math.round(ask.body.bytes.length / bytesPerInputToken))
  const head = { id: `msg_load_${ask.requestId}`, model, inputTokens }
  const of = (contentType: string, body: Answer['body']): Answer => ({
    upstream,
    status: 200,
    headers: [['content-type', contentType]],
    body,
    upstreamRequestId: null,
    upstreamCloudRequestId: null,
    reason: '200 OK',
  })
  if (ask.operation === 'count_tokens') {
    return of('application/json', Buffer.from(JSON.stringify({ input_tokens: inputTokens })))
  }
  if (ask.streams) return of('text/event-stream; charset=utf-8', message.streamed(head))
  return of('application/json', message.whole(head))
}
