/**
 * Counting tokens on Amazon Bedrock: its CountTokens takes a whole request for a model, encoded,
 * and knows foundation models only. It counts for few models and accounts, so every way it fails
 * is one answer: not available here. Clients then estimate, or ask for one token instead.
 */
import type { JsonValue } from '../stream/json-body.ts'
import type { Authorize } from './aws-cloud.ts'
import { createCloud, createCloudHeaders } from './cloud.ts'
import { headerBetas } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import type { Answer, Ask, AttemptResult, ProviderDeps, Upstream } from './upstream.ts'

/** Betas that CountTokens takes; any other is refused by it with the whole request. */
const countedBetas: ReadonlySet<string> = new Set([
  'claude-code-20250219',
  'context-management-2025-06-27',
  'oauth-2025-04-20',
])

/** Of an inference profile: where its requests may be run. */
const geography = /^(?:[a-z]{2,6}(?:-gov)?)\.(?=anthropic\.)/

/** What an ARN of a model or of a predefined inference profile ends in; of others the model is unknown. */
const namedByArn = /^arn:[^:]*:bedrock:[^/]*:(?:foundation-model|inference-profile)\/(.+)$/

const anthropicVersion = 'bedrock-2023-05-31'

/** Keys that CountTokens is not sent, or that are written anew in front. */
const dropped: ReadonlySet<string> = new Set([
  'model',
  'tags',
  'anthropic_version',
  'anthropic_beta',
  'max_tokens',
])

const json: Answer['headers'] = [['Content-Type', 'application/json;charset=utf-8']]

export interface BedrockPlace {
  readonly base: URL
  readonly prefix: string
  readonly authorize: Authorize
}

export function createBedrockCount(
  deps: ProviderDeps,
  { name, headers }: ProviderConfig<'bedrock'>,
  { base, prefix, authorize }: BedrockPlace,
): Upstream {
  const headersFor = createCloudHeaders(headers)
  const cloud = createCloud(deps, {
    name,
    provider: 'bedrock',
    prepare(ask, foundation) {
      const target = `${prefix}/model/${encodeURIComponent(foundation)}/count-tokens`
      const body = Buffer.from(
        JSON.stringify({ input: { invokeModel: { body: encodeInner(ask) } } }),
      )
      return authorize({ url: base, target, headers: headersFor(ask), body }, ask)
    },
  })
  return {
    ...cloud,
    async send(ask, model) {
      const foundation = foundationOf(model)
      if (foundation === null) return unavailable(name, ask, null, `no CountTokens for ${model}`)
      const result = await cloud.send(ask, foundation)
      if (result.kind === 'client-gone') return result
      if (result.kind === 'failed') return unavailable(name, ask, null, result.reason)
      const { answer } = result
      const tokens = answer.status === 200 ? readCount(answer) : null
      if (tokens === null) return unavailable(name, ask, answer, answer.reason)
      const body = Buffer.from(JSON.stringify({ input_tokens: tokens }))
      return { kind: 'answered', answer: { ...answer, headers: json, body } }
    },
  }
}

/** The model that an id or ARN stands for, as CountTokens knows it; null when nobody can tell. */
export function foundationOf(model: string): string | null {
  const id = model.startsWith('arn:') ? namedByArn.exec(model)?.[1] : model
  return id?.replace(geography, '') ?? null
}

/**
 * The request to count: version and limit first, then the client's keys in their order and
 * spelling. The limit must exceed what is set aside for thinking, or the request is invalid.
 */
function encodeInner({ body, headers }: Ask): string {
  const parts = [member('anthropic_version', versionOf(body.value('anthropic_version')))]
  const limit = body.rawValue('max_tokens')
  parts.push(
    limit === undefined
      ? [Buffer.from(`"max_tokens":${budgetOf(body.value('thinking')) + 1}`)]
      : [Buffer.from('"max_tokens":'), limit],
  )
  for (const key of new Set(body.keys())) {
    const value = body.rawValue(key)
    if (dropped.has(key) || value === undefined) continue
    if (key === 'tools' && isEmptyList(value)) continue
    parts.push([Buffer.from(`${JSON.stringify(key)}:`), value])
  }
  const betas = [...new Set(headerBetas(headers))].filter((beta) => countedBetas.has(beta))
  if (betas.length > 0) parts.push(member('anthropic_beta', betas))
  const comma = Buffer.from(',')
  const all = parts.flatMap((part, index) => (index === 0 ? part : [comma, ...part]))
  return Buffer.concat([Buffer.from('{'), ...all, Buffer.from('}')]).toString('base64')
}

function member(key: string, value: JsonValue): Uint8Array[] {
  return [Buffer.from(`${JSON.stringify(key)}:${JSON.stringify(value)}`)]
}

function versionOf(sent: unknown): string {
  return typeof sent === 'string' ? sent : anthropicVersion
}

function budgetOf(thinking: unknown): number {
  if (typeof thinking !== 'object' || thinking === null || !('budget_tokens' in thinking)) return 0
  const { budget_tokens } = thinking
  return Number.isSafeInteger(budget_tokens) ? Math.max(0, Number(budget_tokens)) : 0
}

function isEmptyList(value: Uint8Array): boolean {
  return value.length < 64 && /^\[\s*\]$/.test(Buffer.from(value).toString())
}

function readCount({ body }: Answer): number | null {
  if (!(body instanceof Uint8Array)) return null
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body).toString())
    if (typeof parsed !== 'object' || parsed === null || !('inputTokens' in parsed)) return null
    return typeof parsed.inputTokens === 'number' ? parsed.inputTokens : null
  } catch {
    // Not an answer of CountTokens, whatever it is.
    return null
  }
}

function unavailable(
  upstream: string,
  { requestId }: Ask,
  answer: Answer | null,
  reason: string,
): AttemptResult {
  const message = 'count_tokens is not available on this Bedrock upstream'
  const error = { type: 'error', request_id: requestId, error: { type: 'not_supported', message } }
  return {
    kind: 'answered',
    answer: {
      upstream,
      status: 501,
      headers: [...json, ['x-should-retry', 'false']],
      body: Buffer.from(JSON.stringify(error)),
      upstreamRequestId: answer?.upstreamRequestId ?? null,
      upstreamCloudRequestId: answer?.upstreamCloudRequestId ?? null,
      reason: `501 ${reason}`,
    },
  }
}
