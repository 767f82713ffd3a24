/**
 * Provider `foundry`: the Messages API on Azure AI Foundry, signed in with a key or with the Azure
 * default credentials. Asked by failover, through `cloud.ts`.
 */
import { createAzureTokens } from './azure-credentials.ts'
import { apiTarget, betasAsSent, createCloud, createCloudHeaders } from './cloud.ts'
import { editCloudBody } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import { createTokenCache, fixedToken, type Token, type TokenSource } from './token-cache.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'

/** `source` gives the access tokens instead of Azure's credentials, for specs. */
export function createFoundry(
  deps: ProviderDeps,
  config: ProviderConfig<'foundry'>,
  source?: TokenSource<Token>,
): Upstream {
  const { name, auth, resource } = config
  const base = new URL(config.base_url ?? `https://${resource}.services.ai.azure.com/anthropic`)
  const tokens =
    'api_key' in auth
      ? fixedToken(auth.api_key)
      : createTokenCache(deps, `access token of ${name}`, source ?? createAzureTokens())
  const headersFor = createCloudHeaders(config.headers)

  return createCloud(deps, {
    name,
    provider: 'foundry',
    async prepare(ask, model) {
      const token = await tokens.get(ask.signal)
      const headers = headersFor(ask)
      headers.push(...betasAsSent(ask))
      if ('api_key' in auth) headers.push('x-api-key', token.value)
      else {
        headers.push('authorization', `Bearer ${token.value}`)
        headers.push('anthropic-dangerous-direct-browser-access', 'true')
      }
      const body = editCloudBody(ask.body, { drop: [], model, keepsStream: true })
      const refused = (): void => tokens.refuse(token)
      return { url: base, target: apiTarget(base, ask), headers, body, refused }
    },
  })
}
