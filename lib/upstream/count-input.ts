/**
 * How many tokens the input of a call had, when its answer does not say: the upstream that
 * answered counts them with its own credentials, bounded, else they are estimated by length. Runs
 * after the reply, so nobody waits for it; a drain waits for what is still being counted.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { type JsonBody, scanJsonBody } from '../stream/json-body.ts'
import type { Answer, Ask, Upstream } from './upstream.ts'
import { readWhole } from './whole-body.ts'

export interface CountInput {
  /** Never rejects. */
  (ask: Ask, answeredBy: string, model: string): Promise<number>
}

export interface InputCounter {
  readonly count: CountInput
  /** Settles when nothing is being counted any more; bounded by the deadline of a count. */
  idle(): Promise<void>
}

export interface InputCounterDeps {
  readonly upstreams: readonly Upstream[]
  readonly clock: Clock
  readonly log: Log
}

/** A count is a fraction of a second; a reply's bill may not wait for a hanging one (B040). */
const deadlineMs = 5000
/** `{"input_tokens":4200}` and what providers put beside it. */
const answerMaxBytes = 64 * 1024
const charsPerToken = 4

/** What makes up the input, in the order it is sent. */
const counted = ['messages', 'system', 'tools'] as const

export function createInputCounter({ upstreams, clock, log }: InputCounterDeps): InputCounter {
  const running = new Set<Promise<number>>()
  const ask = async (call: Ask, answeredBy: string, model: string): Promise<number> => {
    const fields = fieldsOf(call.body)
    try {
      const upstream = upstreams.find(({ name }) => name === answeredBy)
      const tokens = upstream && (await countAt(upstream, call, model, fields, clock))
      if (tokens !== undefined) return tokens
    } catch (error) {
      log.debug(`usage metering: counting failed: ${String(error)}`)
    }
    return Math.ceil(`{${fields}}`.length / charsPerToken)
  }
  return {
    count(call, answeredBy, model) {
      const count = ask(call, answeredBy, model)
      running.add(count)
      return count.finally(() => running.delete(count))
    },
    idle: () => Promise.allSettled(running).then(() => {}),
  }
}

/** The counted members as they were sent, without their braces. */
function fieldsOf(body: JsonBody): string {
  const members = counted.flatMap((key) => {
    const raw = body.rawValue(key)
    return raw === undefined ? [] : [`${JSON.stringify(key)}:${Buffer.from(raw).toString()}`]
  })
  return members.join(',')
}

async function countAt(
  upstream: Upstream,
  call: Ask,
  model: string,
  fields: string,
  clock: Clock,
): Promise<number | undefined> {
  const scanned = scanJsonBody(
    Buffer.from(`{${[fields, `"model":${JSON.stringify(call.model)}`].filter(Boolean).join(',')}}`),
  )
  if (scanned.kind !== 'ok') return undefined
  const deadline = new AbortController()
  const timer = clock.after(deadlineMs, () =>
    deadline.abort(new Error(`no count within ${deadlineMs} ms`)),
  )
  try {
    const result = await upstream.send(
      {
        ...call,
        operation: 'count_tokens',
        body: scanned.body,
        streams: false,
        query: '',
        headers: { 'anthropic-version': '2023-06-01', 'content-type': 'application/json' },
        signal: deadline.signal,
      },
      model,
    )
    if (result.kind !== 'answered') return undefined
    return await readCount(result.answer, clock)
  } finally {
    timer.cancel()
  }
}

async function readCount({ status, body }: Answer, clock: Clock): Promise<number | undefined> {
  if (body === null) return undefined
  const limits = { maxBytes: answerMaxBytes, maxMs: deadlineMs, what: 'the count' }
  const bytes = body instanceof ReadableStream ? await readWhole(body, clock, limits) : body
  if (status !== 200) return undefined
  const scanned = scanJsonBody(bytes)
  const tokens = scanned.kind === 'ok' ? scanned.body.value('input_tokens') : undefined
  return typeof tokens === 'number' && Number.isFinite(tokens) && tokens >= 0 ? tokens : undefined
}
