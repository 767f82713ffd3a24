/**
 * Provider `vertex`: models of Anthropic on Google Cloud Vertex AI. Asked by failover, through
 * `cloud.ts`. The model is in the address, not in the body; betas stay in their header.
 */
import { createCloud, createCloudHeaders } from './cloud.ts'
import { betasWithoutTags, editCloudBody } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import { createDefaultGoogleTokens, createServiceAccountTokens } from './google-credentials.ts'
import { createTokenCache, type Token, type TokenSource } from './token-cache.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'

type Config = ProviderConfig<'vertex'>

/** What Vertex knows the Messages API by; sent unless the client's body has one. */
const anthropicVersion = 'vertex-2023-10-16'

/** `source` gives the access tokens; a spec may bring its own. */
export function createVertex(
  deps: ProviderDeps,
  config: Config,
  source: TokenSource<Token> = sourceOf(deps, config),
): Upstream {
  const { name, project_id, region } = config
  const base = new URL(config.base_url ?? vertexEndpoint(region))
  const prefix = base.pathname.replace(/\/$/, '')
  const place = `projects/${encodePath(project_id)}/locations/${encodePath(region)}`
  const models = `${prefix}/${place}/publishers/anthropic/models/`
  const tokens = createTokenCache(deps, `access token of ${name}`, source)
  const headersFor = createCloudHeaders(config.headers)

  return createCloud(deps, {
    name,
    provider: 'vertex',
    async prepare(ask, model) {
      const token = await tokens.get(ask.signal)
      const headers = headersFor(ask)
      headers.push('authorization', `Bearer ${token.value}`, ...betasWithoutTags(ask.headers))
      const counts = ask.operation === 'count_tokens'
      const method = ask.streams && !counts ? 'streamRawPredict' : 'rawPredict'
      return {
        url: base,
        target: `${models}${counts ? 'count-tokens' : encodePath(model)}:${method}`,
        headers,
        // Tokens are counted under an address of their own, so the model stays in the body.
        body: editCloudBody(ask.body, {
          drop: counts ? ['tags'] : ['model', 'tags'],
          keepsStream: true,
          anthropicVersion,
          ...(counts && { model }),
        }),
        refused: () => tokens.refuse(token),
      }
    },
  })
}

/** Google's own address for a region, with the prefix that a `base_url` replaces. */
export function vertexEndpoint(region: string): string {
  if (region === 'global') return 'https://aiplatform.googleapis.com/v1'
  if (region === 'us') return 'https://aiplatform.us.rep.googleapis.com/v1'
  return `https://${region}-aiplatform.googleapis.com/v1`
}

function sourceOf(deps: ProviderDeps, { auth }: Config): TokenSource<Token> {
  const path = auth.service_account_json
  return path === undefined ? createDefaultGoogleTokens() : createServiceAccountTokens(deps, path)
}

/** One segment of a path; `@` and `:` are written as they are, as Google writes them. */
function encodePath(segment: string): string {
  return encodeURIComponent(segment).replaceAll('%40', '@').replaceAll('%3A', ':')
}
