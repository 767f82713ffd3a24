/**
 * Provider `bedrock`: models of Anthropic on Amazon Bedrock, through `cloud.ts`. The model is in
 * the address, betas are in the body, streams come in AWS's binary framing. While a guardrail is
 * configured no field of a client's body may speak to Bedrock's own machinery.
 */
import { createEventStreamDecoder } from '../stream/event-stream.ts'
import type { EventDecoder } from '../stream/relay.ts'
import { createSseRelay } from '../stream/relay-sse.ts'
import { authorizeSigned, authorizeWith, type Authorize } from './aws-cloud.ts'
import { createAssumedIdentity } from './aws-assume-role.ts'
import { createAwsIdentity } from './aws-credentials.ts'
import { createBedrockCount } from './bedrock-count.ts'
import { createCloud, createCloudHeaders } from './cloud.ts'
import { collectBetas, editCloudBody } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import type { Answer, Ask, ProviderDeps, Upstream } from './upstream.ts'

type Config = ProviderConfig<'bedrock'>

/** What Bedrock knows the Messages API by; sent unless the client's body has one. */
const anthropicVersion = 'bedrock-2023-05-31'

/** Fields of a body that configure Bedrock itself: its guardrails and their tracing among them. */
const reservedPrefix = 'amazon-bedrock-'

export function createBedrock(deps: ProviderDeps, config: Config): Upstream {
  const { name, region, guardrail } = config
  const base = new URL(config.base_url ?? `https://bedrock-runtime.${region}.amazonaws.com`)
  const prefix = base.pathname.replace(/\/$/, '')
  const authorize = createAuthorize(deps, config)
  const own = guardrail === undefined ? {} : guardrailHeaders(guardrail)
  const headersFor = createCloudHeaders({ ...config.headers, ...own })

  const invoke = createCloud(deps, {
    name,
    provider: 'bedrock',
    createDecoder: decoderFor,
    prepare(ask, model) {
      const method = ask.streams ? 'invoke-with-response-stream' : 'invoke'
      const target = `${prefix}/model/${encodeModel(model)}/${method}`
      const body = editCloudBody(ask.body, {
        drop: ['model', 'stream', 'tags'],
        betas: collectBetas(ask.body, ask.headers),
        anthropicVersion,
      })
      return authorize({ url: base, target, headers: headersFor(ask), body }, ask)
    },
  })
  const count = createBedrockCount(deps, config, { base, prefix, authorize })

  return {
    name,
    provider: 'bedrock',
    send(ask, model) {
      if (guardrail !== undefined) {
        const key = ask.body.keys().find((each) => each.startsWith(reservedPrefix))
        if (key !== undefined) {
          return Promise.resolve({ kind: 'answered', answer: refuseKey(name, key, ask) })
        }
      }
      return (ask.operation === 'messages' ? invoke : count).send(ask, model)
    },
    close: () => Promise.resolve(),
  }
}

function createAuthorize(deps: ProviderDeps, config: Config): Authorize {
  const { name, region, auth, assume_role } = config
  if (auth.aws_bearer_token !== undefined) {
    return authorizeWith('authorization', `Bearer ${auth.aws_bearer_token}`)
  }
  const own = createAwsIdentity(deps, name, auth)
  const identity =
    assume_role === undefined ? own : createAssumedIdentity(deps, name, region, assume_role, own)
  return authorizeSigned(deps, 'bedrock', region, identity)
}

/** A document where a stream was expected is no broken stream: it is one without events. */
function decoderFor(contentType: string): EventDecoder {
  const isText = /^(?:application\/json|text\/event-stream)\b/.test(contentType)
  return isText ? createSseRelay() : createEventStreamDecoder()
}

function guardrailHeaders({ id, version }: NonNullable<Config['guardrail']>) {
  return {
    'x-amzn-bedrock-guardrailidentifier': id,
    'x-amzn-bedrock-guardrailversion': version,
  }
}

/** One segment of a path; `:` is written as it is, as Bedrock's own clients do. */
function encodeModel(model: string): string {
  return encodeURIComponent(model).replaceAll('%3A', ':')
}

function refuseKey(upstream: string, key: string, { requestId }: Ask): Answer {
  // Keys are whatever a client sent: what is shown of one is short and plain.
  const shown = key.slice(0, 64).replaceAll(/[^\u0020-\u007E]/g, '?')
  const message = `request body field '${shown}' is not allowed while a guardrail is configured`
  const error = {
    type: 'error',
    request_id: requestId,
    error: { type: 'invalid_request_error', message },
  }
  return {
    upstream,
    status: 400,
    headers: [['Content-Type', 'application/json;charset=utf-8']],
    body: Buffer.from(JSON.stringify(error)),
    upstreamRequestId: null,
    upstreamCloudRequestId: null,
    reason: `400 ${message}`,
  }
}
