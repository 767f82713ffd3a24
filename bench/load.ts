/**
 * One run of load against one gateway: bounded in count and time, every reply checked byte for
 * byte. `client.ts` runs it in a process of its own; the spec runs it directly. It reports faults
 * instead of throwing them, because a run with a single fault is worth nothing: `rounds.ts` voids it.
 */
import { setMaxListeners } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildReply, buildRequest, nonceLength, nonceOffset, placeNonce } from './reply.ts'
import type { Script } from './reply.ts'
import { percentile } from './statistics.ts'

export interface LoadPlan {
  /** Origin and path prefix of the gateway, without a trailing slash. */
  readonly url: string
  readonly token: string
  readonly script: Script
  readonly requestBytes: number
  /** Connections, each with one request at a time. */
  readonly concurrency: number
  readonly requests: number
  /** Time over which the connections start; 0 starts them at once. */
  readonly rampMs: number
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

/** Enough to see a pattern; a broken gateway would otherwise fill the terminal. */
const faultsKept = 5

export async function runLoad(plan: LoadPlan): Promise<LoadReport> {
  const streams = plan.script.kind === 'stream'
  const template = Buffer.concat(buildReply(plan.script))
  const offset = nonceOffset(template)
  const body = buildRequest(plan.requestBytes, streams)
  const agent = new Agent({ keepAlive: true, maxSockets: plan.concurrency, scheduling: 'fifo' })
  const deadline = AbortSignal.timeout(plan.timeoutMs)
  setMaxListeners(0, deadline)
  const faults: string[] = []
  const firstByteMs: number[] = []
  const gapMs: number[] = []
  let replies = 0
  let started = 0
  let open = 0
  let openPeak = 0

  const exchange = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const nonce = (started++).toString(16).padStart(nonceLength, '0')
      const expected = Buffer.from(template)
      expected.write(nonce, offset, 'latin1')
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

  const connection = async (index: number): Promise<void> => {
    await sleep((plan.rampMs * index) / plan.concurrency)
    // One fault voids the run: the other connections need not go on either.
    while (started < plan.requests && faults.length === 0) await exchange()
  }
  const begunAt = performance.now()
  await Promise.all(
    Array.from({ length: plan.concurrency }, (_, index) =>
      connection(index).catch((error: unknown) => {
        if (faults.length < faultsKept) faults.push(describe(error))
      }),
    ),
  )
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
