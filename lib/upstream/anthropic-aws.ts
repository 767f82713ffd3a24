/**
 * Provider `anthropicAws`: the Messages API as AWS sells it, billed to a workspace. Asked by
 * failover, through `cloud.ts`. An API key wins over keys to sign with.
 */
import { authorizeSigned, authorizeWith } from './aws-cloud.ts'
import { createAwsIdentity } from './aws-credentials.ts'
import { apiTarget, betasAsSent, createCloud, createCloudHeaders } from './cloud.ts'
import { editCloudBody } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'

export function createAnthropicAws(
  deps: ProviderDeps,
  config: ProviderConfig<'anthropicAws'>,
): Upstream {
  const { name, region, auth, workspace_id } = config
  const url = new URL(config.base_url ?? `https://aws-external-anthropic.${region}.api.aws`)
  const headersFor = createCloudHeaders({
    ...config.headers,
    'anthropic-workspace-id': workspace_id,
  })
  const authorize =
    auth.api_key === undefined
      ? authorizeSigned(deps, 'aws-external-anthropic', region, createAwsIdentity(deps, name, auth))
      : authorizeWith('x-api-key', auth.api_key)

  return createCloud(deps, {
    name,
    provider: 'anthropicAws',
    prepare(ask, model) {
      const headers = [...headersFor(ask), ...betasAsSent(ask)]
      const body = editCloudBody(ask.body, { drop: [], model, keepsStream: true })
      return authorize({ url, target: apiTarget(url, ask), headers, body }, ask)
    },
  })
}
