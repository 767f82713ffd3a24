/** An ask and its routes, as inference makes them, for specs below it. */
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { scanJsonBody } from '../../lib/stream/json-body.ts'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import { createAnthropic } from '../../lib/upstream/anthropic.ts'
import type { Ask, ProviderDeps, Upstream } from '../../lib/upstream/upstream.ts'
import { createRecorder } from './recorder.ts'

export const alice: Caller = {
  sub: 'u-alice',
  email: 'alice@example.com',
  name: 'Alice A',
  groups: ['eng'],
  expiresAt: 4_102_444_800,
}

export interface AskOptions {
  readonly body?: string
  readonly path?: string
  readonly headers?: IncomingHttpHeaders
  readonly caller?: Caller
  readonly signal?: AbortSignal
}

export const shortBody =
  '{"model":"claude-sonnet-4-6","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}'

/** What `POST path` with `body` asks for. */
export function createAsk(options: AskOptions = {}): Ask {
  const { body = shortBody, path = '/v1/messages', headers = {}, caller = alice } = options
  const scanned = scanJsonBody(Buffer.from(body))
  assert.equal(scanned.kind, 'ok')
  assert.ok(scanned.kind === 'ok')
  const [pathname = '', query] = path.split(/(?=\?)/)
  return {
    operation: pathname.endsWith('/count_tokens') ? 'count_tokens' : 'messages',
    body: scanned.body,
    model: scanned.body.stringValue('model') ?? '',
    streams: scanned.body.truthy('stream'),
    query: query ?? '',
    headers,
    caller,
    requestId: 'req-1',
    signal: options.signal ?? new AbortController().signal,
  }
}

/** What the registry gives a provider; its log is kept nowhere. */
export function createDeps(
  egress: Egress,
  upstream_ttfb_ms = 60_000,
  changes: Partial<ProviderDeps> = {},
): ProviderDeps {
  const { log } = createRecorder()
  const whole_ttfb_ms = upstream_ttfb_ms
  return { egress, clock: systemClock, log, upstream_ttfb_ms, whole_ttfb_ms, ...changes }
}

export type AnthropicChanges = Partial<ProviderConfig<'anthropic'>> & {
  readonly upstream_ttfb_ms?: number
  readonly egress?: Egress
}

/** An upstream of provider `anthropic` at `base_url`, and the egress it was given. */
export function createAnthropicAt(
  base_url: string,
  changes: AnthropicChanges = {},
): { upstream: Upstream; close: () => Promise<void> } {
  const { upstream_ttfb_ms = 60_000, egress: given, ...config } = changes
  const egress = given ?? createEgress({ allowLoopback: true, clock: systemClock })
  const upstream = createAnthropic(createDeps(egress, upstream_ttfb_ms), {
    provider: 'anthropic',
    name: 'u1',
    base_url,
    headers: {},
    timeouts: {},
    auth: { api_key: 'sk-up-1' },
    forward_user_identity: false,
    ...config,
  })
  return { upstream, close: () => egress.close() }
}

/** All bytes of an answer's body as text. */
export async function readBody(
  body: ReadableStream<Uint8Array> | Uint8Array | null,
): Promise<string> {
  if (!(body instanceof ReadableStream)) return Buffer.from(body ?? []).toString()
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  return Buffer.concat(parts).toString()
}
