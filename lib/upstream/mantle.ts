/**
 * Provider `mantle`: the Messages API as Amazon Bedrock serves it on its own address. Asked by
 * failover, through `cloud.ts`. It knows no `tags`, nor the beta that announces them.
 */
import { authorizeSigned, authorizeWith } from './aws-cloud.ts'
import { createAwsIdentity } from './aws-credentials.ts'
import { apiTarget, createCloud, createCloudHeaders } from './cloud.ts'
import { betasWithoutTags, editCloudBody } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'

/** What Anthropic's own client for this address signs for. */
const service = 'bedrock-mantle'

export function createMantle(deps: ProviderDeps, config: ProviderConfig<'mantle'>): Upstream {
  const { name, region, auth } = config
  const url = new URL(config.base_url ?? `https://bedrock-mantle.${region}.api.aws/anthropic`)
  const headersFor = createCloudHeaders(config.headers)
  const authorize =
    auth.aws_bearer_token === undefined
      ? authorizeSigned(deps, service, region, createAwsIdentity(deps, name, auth))
      : authorizeWith('authorization', `Bearer ${auth.aws_bearer_token}`)

  return createCloud(deps, {
    name,
    provider: 'mantle',
    prepare(ask, model) {
      const headers = [...headersFor(ask), ...betasWithoutTags(ask.headers)]
      const body = editCloudBody(ask.body, { drop: ['tags'], model, keepsStream: true })
      return authorize({ url, target: apiTarget(url, ask), headers, body }, ask)
    },
  })
}
