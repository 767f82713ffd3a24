/**
 * Provider `anthropicGoogleCloud`: the Messages API as Anthropic runs it on Google Cloud, in the
 * API's own shape, with a Google access token and a workspace. Asked by failover, through
 * `cloud.ts`. No public address is known: without a `base_url` every request fails here.
 */
import { apiTarget, betasAsSent, createCloud, createCloudHeaders } from './cloud.ts'
import { editCloudBody } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import { createDefaultGoogleTokens, createServiceAccountTokens } from './google-credentials.ts'
import {
  createTokenCache,
  fixedToken,
  type Token,
  type TokenCache,
  type TokenSource,
} from './token-cache.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'

type Config = ProviderConfig<'anthropicGoogleCloud'>

/** `source` gives the access tokens of `auth: {}` instead of Google's credentials, for specs. */
export function createAnthropicGoogleCloud(
  deps: ProviderDeps,
  config: Config,
  source?: TokenSource<Token>,
): Upstream {
  const { name, workspace_id } = config
  const base = config.base_url === undefined ? null : new URL(config.base_url)
  const tokens = tokensOf(deps, config, source)
  const headersFor = createCloudHeaders(config.headers)

  return createCloud(deps, {
    name,
    provider: 'anthropicGoogleCloud',
    async prepare(ask, model) {
      if (base === null) throw new Error('no base_url is configured')
      const token = await tokens.get(ask.signal)
      const headers = headersFor(ask)
      headers.push('authorization', `Bearer ${token.value}`, 'anthropic-workspace-id', workspace_id)
      headers.push(...betasAsSent(ask))
      return {
        url: base,
        target: apiTarget(base, ask),
        headers,
        body: editCloudBody(ask.body, { drop: [], model, keepsStream: true }),
        refused: () => tokens.refuse(token),
      }
    },
  })
}

function tokensOf(
  deps: ProviderDeps,
  { name, auth }: Config,
  source: TokenSource<Token> | undefined,
): TokenCache<Token> {
  const { access_token, service_account_json: path } = auth
  if (access_token !== undefined) return fixedToken(access_token)
  const own =
    path === undefined
      ? (source ?? createDefaultGoogleTokens())
      : createServiceAccountTokens(deps, path)
  return createTokenCache(deps, `access token of ${name}`, own)
}
