/**
 * One run of load against one gateway: bounded in count and time, every reply checked byte for
 * byte. `client.ts` runs it in a process of its own; the spec runs it directly. It reports faults
 * instead of throwing them, because a run with a single fault is worth nothing: `rounds.ts` voids it.
 */
import { setMaxListeners } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildRequest, createReply, nonceLength, placeNonce } from './reply.ts'
import type { Framing, Script } from './reply.ts'
import { percentile } from './statistics.ts'

export interface LoadPlan {
  /** Origin and path prefix of the gateway, without a trailing slash. */
  readonly url: string
  readonly token: string
  readonly script: Script
  /** How the replies arrive: a gateway unpacks what a provider framed, a pipe does not. */
  readonly framing: Framing
  readonly requestBytes: number
  /** Connections, each with one request at a time. */
  readonly concurrency: number
  readonly requests: number
  /** Time over which the connections start; 0 starts them at once. */
  readonly rampMs: number
  /**
   * Starts a request each so many milliseconds, answered or not, instead of one whenever a
   * connection is free; the run then lasts until it is stopped. 0: whenever one is free.
   */
  readonly everyMs: number
  /** Whatever is not answered by then is a fault. */
  readonly timeoutMs: number
}

export interface LoadReport {
  readonly replies: number
  /** What went wrong, the first few of it; an empty list or the run is void. */
  readonly faults: readonly string[]
  readonly seconds: number
  /** From the request's last write to the first byte of the body, milliseconds. */
  readonly firstByteMs: { readonly p50: number; readonly p99: number }
  /** Between two arrivals of one body, milliseconds. */
  readonly gapMs: { readonly p50: number; readonly p99: number }
  /** Most replies that were begun and not yet complete at one moment. */
  readonly openPeak: number
}

/**
 * Requests without a first byte while connections start one by one. Half of what waits to be
 * accepted at the gateway: a machine that is busy with something else makes the start slower
 * instead of having the kernel reset connections that nobody refused.
 */
const unansweredMax = 512

/** Enough to see a pattern; a broken gateway would otherwise fill the terminal. */
const faultsKept = 5

export async function runLoad(plan: LoadPlan, stop?: AbortSignal): Promise<LoadReport> {
  const streams = plan.script.kind === 'stream'
  const reply = createReply(plan.script, plan.framing)
  const body = buildRequest(plan.requestBytes, streams)
  const agent = new Agent({ keepAlive: true, maxSockets: plan.concurrency, scheduling: 'fifo' })
  const deadline = AbortSignal.timeout(plan.timeoutMs)
  setMaxListeners(0, deadline)
  const faults: string[] = []
  const firstByteMs: number[] = []
  const gapMs: number[] = []
  let replies = 0
  let started = 0
  let answered = 0
  let open = 0
  let openPeak = 0

  const exchange = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const nonce = (started++).toString(16).padStart(nonceLength, '0')
      const expected = Buffer.concat(reply(nonce))
      const head = placeNonce(body.head, nonce)
      const outgoing = request(`${plan.url}/v1/messages?beta=true`, {
        agent,
        method: 'POST',
        signal: deadline,
        headers: {
          ...clientHeaders,
          authorization: `Bearer ${plan.token}`,
          'content-length': Buffer.byteLength(head) + body.tail.length,
        },
      })
      outgoing.write(head)
      outgoing.end(body.tail)
      const sentAt = performance.now()
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        let at = 0
        let previousAt = 0
        incoming.on('data', (chunk: Buffer) => {
          const now = performance.now()
          if (at === 0) {
            answered++
            firstByteMs.push(now - sentAt)
            openPeak = Math.max(openPeak, ++open)
          } else if (plan.script.gapMs > 0) {
            gapMs.push(now - previousAt)
          }
          previousAt = now
          if (!chunk.equals(expected.subarray(at, at + chunk.length))) {
            incoming.destroy(new Error(`status ${incoming.statusCode}, other bytes at ${at}`))
          }
          at += chunk.length
        })
        incoming.on('error', reject)
        incoming.on('end', () => {
          if (at > 0) open--
          if (incoming.statusCode !== 200) reject(new Error(`status ${incoming.statusCode}`))
          else if (at !== expected.length) reject(new Error(`${at} of ${expected.length} bytes`))
          else {
            replies++
            resolve()
          }
        })
      })
    })

  // One fault voids the run: the other connections need not go on either.
  const isOver = (): boolean =>
    started >= plan.requests || faults.length > 0 || stop?.aborted === true
  const note = (error: unknown): void => {
    if (faults.length < faultsKept) faults.push(describe(error))
  }
  const connection = async (): Promise<void> => {
    while (!isOver()) await exchange()
  }
  const begunAt = performance.now()
  // From the beginning, not from the one before: lateness must not add up.
  const sleepUntil = async (ms: number): Promise<void> => {
    const left = begunAt + ms - performance.now()
    if (left > 0) await sleep(left)
  }
  const exchanges: Promise<void>[] = []
  if (plan.everyMs > 0) {
    while (!isOver()) {
      exchanges.push(exchange().catch(note))
      await sleepUntil(started * plan.everyMs)
    }
  } else {
    for (let index = 0; index < plan.concurrency; index++) {
      await sleepUntil((plan.rampMs * index) / plan.concurrency)
      while (plan.rampMs > 0 && started - answered >= unansweredMax && !isOver()) await sleep(5)
      exchanges.push(connection().catch(note))
    }
  }
  await Promise.all(exchanges)
  const seconds = (performance.now() - begunAt) / 1000
  agent.destroy()
  return {
    replies,
    faults,
    seconds,
    firstByteMs: { p50: percentile(firstByteMs, 0.5), p99: percentile(firstByteMs, 0.99) },
    gapMs: { p50: percentile(gapMs, 0.5), p99: percentile(gapMs, 0.99) },
    openPeak,
  }
}

/** What Claude Code sends with a prompt, so that header work is paid for as in production. */
const clientHeaders = {
  accept: 'application/json',
  'content-type': 'application/json',
  'user-agent': 'claude-cli/2.1.330 (external, cli)',
  'x-claude-code-session-id': '0c8d530b-4748-4d06-bcda-f9ed75685086',
  'x-stainless-arch': 'x64',
  'x-stainless-lang': 'js',
  'x-stainless-os': 'Linux',
  'x-stainless-package-version': '0.128.0',
  'x-stainless-retry-count': '0',
  'x-stainless-runtime': 'node',
  'x-stainless-runtime-version': 'v24.3.0',
  'x-stainless-timeout': '600',
  'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14',
  'anthropic-dangerous-direct-browser-access': 'true',
  'anthropic-version': '2023-06-01',
  'x-app': 'cli',
  'accept-encoding': 'gzip, deflate, br, zstd',
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.name === 'AbortError' ? 'not answered in time' : error.message
}
