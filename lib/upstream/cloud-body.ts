/**
 * What the cloud providers need changed in a client's body before it is theirs: the API's own
 * keys that they do not know, betas that travel in the body, their `anthropic_version`. Used by
 * the provider files. Every byte that need not change stays as the client sent it.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { JsonBody, JsonEdit } from '../stream/json-body.ts'

/** The beta of the body's `tags`, which stay inside the gateway wherever a cloud refuses them. */
export const tagsBeta = 'request-tags-2026-08-21'

export interface CloudBodyRules {
  /** Keys that are not sent. */
  readonly drop: readonly string[]
  /** Added behind all other keys unless the client sent one. */
  readonly anthropicVersion?: string
  /** All betas of the request, for providers that read them from the body's `anthropic_beta`. */
  readonly betas?: readonly string[]
  /** Written as `true` where the client spelled it another way, such as `1`. */
  readonly keepsStream?: boolean
  /** Replaces the client's spelling, for providers that read the model from the body. */
  readonly model?: string
}

/** The body for one provider; the client's own bytes when nothing is to change. */
export function editCloudBody(body: JsonBody, rules: CloudBodyRules): Uint8Array {
  const edits: JsonEdit[] = rules.drop.map((key) => ({ kind: 'remove', key }))
  if (rules.model !== undefined && rules.model !== body.stringValue('model')) {
    edits.push({ kind: 'set', key: 'model', value: rules.model })
  }
  if (rules.keepsStream === true && body.truthy('stream') && body.value('stream') !== true) {
    edits.push({ kind: 'set', key: 'stream', value: true })
  }
  if (rules.betas !== undefined) edits.push(...editBetas(body, rules.betas))
  if (rules.anthropicVersion !== undefined && !body.has('anthropic_version')) {
    edits.push({ kind: 'set', key: 'anthropic_version', value: rules.anthropicVersion })
  }
  return body.edit(edits)
}

/** The client's betas: those of the body first, then the header's, each once, without the tags'. */
export function collectBetas(body: JsonBody, headers: IncomingHttpHeaders): readonly string[] {
  const betas = new Set<string>(bodyBetas(body) ?? [])
  for (const beta of headerBetas(headers)) betas.add(beta)
  betas.delete(tagsBeta)
  return [...betas]
}

/** The values of the `anthropic-beta` header in their order. */
export function headerBetas(headers: IncomingHttpHeaders): readonly string[] {
  const value = headers['anthropic-beta']
  if (typeof value !== 'string') return []
  return value
    .split(',')
    .map((beta) => beta.trim())
    .filter((beta) => beta !== '')
}

/** The beta header as sent but for the beta of tags; flat, empty when nothing is left of it. */
export function betasWithoutTags(headers: IncomingHttpHeaders): readonly string[] {
  const sent = headers['anthropic-beta']
  if (typeof sent !== 'string' || sent === '') return []
  if (!sent.includes(tagsBeta)) return ['anthropic-beta', sent]
  const betas = headerBetas(headers).filter((beta) => beta !== tagsBeta)
  return betas.length === 0 ? [] : ['anthropic-beta', betas.join(',')]
}

function bodyBetas(body: JsonBody): readonly string[] | null {
  const value = body.value('anthropic_beta')
  if (!Array.isArray(value)) return null
  return value.filter((beta) => typeof beta === 'string')
}

function editBetas(body: JsonBody, betas: readonly string[]): readonly JsonEdit[] {
  const sent = bodyBetas(body)
  if (sent?.length === betas.length && sent.every((beta, index) => beta === betas[index])) return []
  // A list of none is no list: what stood there was of no use either.
  if (betas.length === 0) return [{ kind: 'remove', key: 'anthropic_beta' }]
  return [{ kind: 'set', key: 'anthropic_beta', value: betas }]
}
