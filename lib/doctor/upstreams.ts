/**
 * The upstreams through the code that will serve them: each counts the tokens of one word, which
 * proves name, network, TLS, credentials and a model, and which no provider bills. Nothing here
 * may ever send a message to a model.
 */
import { createCatalogue, groupsOfAll, type Catalogue } from '../catalogue/resolve.ts'
import { readBounded } from '../egress/fetch.ts'
import type { Caller } from '../kernel/caller.ts'
import { scanJsonBody } from '../stream/json-body.ts'
import type { UpstreamConfig } from '../upstream/config.ts'
import { createUpstreams } from '../upstream/registry.ts'
import type { Answer, Ask, AttemptResult } from '../upstream/upstream.ts'
import { checkAwsIdentity } from './aws-identity.ts'
import { failed, ok, orFailed, warned, type Finding } from './finding.ts'
import { bounded, createMemoryLog, doctor, type DoctorParts } from './parts.ts'

/** A credential may take ten seconds to be had, and the answer as long. */
const askMs = 25_000
/** Enough of a provider's words to recognise the trouble. */
const wordsMax = 300

/** `count_tokens` is free at every provider; nobody is billed as this caller either. */
const asker: Caller = { ...doctor, email: 'gateway-doctor@example.com' }

export async function checkUpstreams(parts: DoctorParts): Promise<readonly Finding[]> {
  const { config } = parts
  if (config.load_test_mode?.enabled === true) {
    return [
      warned(
        'upstreams',
        'load_test_mode is on: no upstream is asked, by the gateway or by me',
        'take load_test_mode out of the file before anybody works with it',
      ),
    ]
  }
  const catalogue = createCatalogue(config.upstreams, config, config.extensions.models)
  const groups = groupsOfAll(config.upstreams)
  const found = await Promise.all(
    config.upstreams.map(async (entry) => [
      ...(await checkAwsIdentity(entry, parts)),
      await orFailed(
        `upstream ${entry.name}`,
        fixForNetwork(''),
        checkUpstream(entry, modelFor(entry.name, catalogue, groups), groups, parts),
      ),
    ]),
  )
  return found.flat()
}

interface Chosen {
  /** As clients ask for it. */
  readonly asked: string
  /** As the upstream is sent it. */
  readonly sent: string
}

/** The first listed model that would be sent there. */
function modelFor(
  upstream: string,
  catalogue: Catalogue,
  groups: readonly string[],
): Chosen | null {
  for (const { id } of catalogue.list(groups)) {
    const resolution = catalogue.resolve(id, groups)
    if (resolution.kind !== 'routes') continue
    const route = resolution.routes.find((each) => each.upstream === upstream)
    if (route !== undefined) return { asked: id, sent: route.model }
  }
  return null
}

async function checkUpstream(
  entry: UpstreamConfig,
  model: Chosen | null,
  groups: readonly string[],
  { config, settings, egresses, clock }: DoctorParts,
): Promise<Finding> {
  const check = `upstream ${entry.name}`
  if (model === null) {
    return warned(
      check,
      'no model is ever sent there',
      `name one in models[].upstream_model.${entry.name}, or widen models of this upstream`,
    )
  }
  const { log, lines } = createMemoryLog()
  const [upstream] = createUpstreams(
    {
      egress: egresses.upstream,
      cloudEgress: egresses.cloud,
      stsUrl: settings.stsUrl,
      clock,
      log,
    },
    { ...config, upstreams: [entry], load_test_mode: undefined },
  )
  if (upstream === undefined) throw new Error(`${entry.name} was not made`)
  try {
    const result = await bounded(clock, `asking ${entry.name}`, askMs, (signal) =>
      upstream.send(askFor(model.asked, groups, signal), model.sent),
    )
    return await judge(check, result, model, lines, entry)
  } finally {
    await upstream.close()
  }
}

function askFor(model: string, groups: readonly string[], signal: AbortSignal): Ask {
  const text = JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] })
  const scanned = scanJsonBody(Buffer.from(text))
  if (scanned.kind !== 'ok') throw new Error('the doctor asks in JSON')
  return {
    operation: 'count_tokens',
    body: scanned.body,
    model,
    streams: false,
    query: '',
    headers: { 'anthropic-version': '2023-06-01' },
    caller: { ...asker, groups },
    requestId: 'doctor',
    signal,
  }
}

async function judge(
  check: string,
  result: AttemptResult,
  model: Chosen,
  lines: readonly string[],
  entry: UpstreamConfig,
): Promise<Finding> {
  switch (result.kind) {
    case 'client-gone':
      return failed(check, `no answer within ${askMs} ms`, fixForNetwork(''))
    case 'failed':
      return failed(check, result.reason, fixForNetwork(result.reason))
    case 'answered': {
      const said = await readError(result.answer)
      return judgeAnswer(check, result.answer, model, [...lines, ...said], entry)
    }
  }
}

/** The words of the API's own error. A cloud's are in the log; here they are general. */
async function readError({ body, status }: Answer): Promise<readonly string[]> {
  const bytes = body instanceof ReadableStream ? await readBounded(body) : body
  if (status === 200 || status === 501 || bytes === null) return []
  try {
    const answer: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (typeof answer !== 'object' || answer === null || !('error' in answer)) return []
    const { error } = answer
    if (typeof error !== 'object' || error === null || !('message' in error)) return []
    return [String(error.message)]
  } catch {
    return [] // A page of something in between; its status says enough.
  }
}

function judgeAnswer(
  check: string,
  { status, reason }: Answer,
  model: Chosen,
  lines: readonly string[],
  entry: UpstreamConfig,
): Finding {
  if (status === 200) return ok(check, `counted tokens as ${model.sent}; nothing was spent`)
  const words = lines.join(' ').slice(0, wordsMax)
  // Bedrock counts for few models and accounts: its own status stands behind the 501.
  const inner = /^501 (\d{3})\b/.exec(reason)?.[1]
  const own = inner === undefined ? status : Number(inner)
  const seen = `${inner === undefined ? reason : reason.replace(/^501 /, '')}${words === '' ? '' : `: ${words}`}`
  if (
    own === 401 ||
    /UnrecognizedClient|InvalidSignature|ExpiredToken|InvalidClientToken|security token/i.test(
      words,
    )
  ) {
    return failed(check, seen, fixForCredentials(entry))
  }
  const isCount = entry.provider === 'bedrock' && status === 501
  if (isCount && inner === undefined && !reason.includes('no CountTokens')) {
    const why = reason.replace(/^501 /, '')
    return failed(check, why, fixForNetwork(why))
  }
  if (isCount) {
    return warned(
      check,
      `reached, but it counts no tokens for ${model.sent}: ${seen}`,
      'allow bedrock:CountTokens beside bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream; some models cannot be counted, and clients then estimate',
    )
  }
  if (own === 403) return failed(check, seen, fixForPermission(entry))
  if (own === 404) {
    return failed(
      check,
      seen,
      `enable ${model.sent} in the account, region and project of this upstream, correct base_url, or narrow its models to those it has`,
    )
  }
  if (own === 429 || own === 503 || own === 529) {
    return warned(check, `${seen}; credentials are good`, 'raise the limits of the account')
  }
  return warned(
    check,
    seen,
    'mend what the provider names here; requests of developers will meet the same',
  )
}

function fixForCredentials({ provider }: UpstreamConfig): string {
  switch (provider) {
    case 'anthropic':
      return 'replace the key or token in auth by one of the organization that base_url belongs to'
    case 'bedrock':
    case 'mantle':
    case 'anthropicAws':
      return 'renew the AWS keys, or let auth: {} find the role of the workload (IRSA, task role, instance profile)'
    case 'vertex':
    case 'anthropicGoogleCloud':
      return 'give auth.service_account_json a valid key file, or bind a Google service account to the workload'
    case 'foundry':
      return 'replace auth.api_key, or bind a managed identity to the workload for use_azure_ad'
  }
}

function fixForPermission({ provider }: UpstreamConfig): string {
  switch (provider) {
    case 'anthropic':
      return 'let the workspace of the key use this model'
    case 'bedrock':
    case 'mantle':
      return 'allow the role bedrock:InvokeModel, bedrock:InvokeModelWithResponseStream and bedrock:CountTokens, and enable the model in the region'
    case 'anthropicAws':
      return 'allow the role to use the workspace in workspace_id'
    case 'vertex':
    case 'anthropicGoogleCloud':
      return 'grant roles/aiplatform.user in the project, and enable the model in the region'
    case 'foundry':
      return 'grant the identity the role Azure AI User on the resource'
  }
}

function fixForNetwork(reason: string): string {
  if (/ECONNREFUSED_SSRF/.test(reason))
    return 'name a host that is not this machine or its metadata service'
  if (/EPROXY|the proxy /.test(reason))
    return 'let the forward proxy connect to the provider (CONNECT, port 443)'
  if (/CERT|certificate|self.signed/i.test(reason)) {
    return 'put the authority of a TLS-inspecting proxy into the file of NODE_EXTRA_CA_CERTS'
  }
  if (/STS refused the role/.test(reason)) {
    return 'let the trust policy of the role admit the identity above, with external_id when it asks for one'
  }
  if (/credential|token|ENOENT|key file/i.test(reason)) {
    return 'make the credentials available to this process: auth of the upstream, or the identity of the workload'
  }
  return 'open the firewall to the provider on port 443, or set HTTPS_PROXY when it is behind a proxy'
}
