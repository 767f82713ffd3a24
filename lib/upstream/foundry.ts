/**
 * Provider `foundry`: the Messages API on Azure AI Foundry, signed in with a key or with the Azure
 * default credentials. Asked by failover, through `cloud.ts`.
 */
import { createAzureTokens } from './azure-credentials.ts'
import { apiTarget, betasAsSent, createCloud, createCloudHeaders } from './cloud.ts'
import { editCloudBody } from './cloud-body.ts'
import type { ProviderConfig } from './config.ts'
import { createTokenCache, type Token, type TokenSource } from './token-cache.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'

/** `source` gives the access tokens; a spec may bring its own. */
export function createFoundry(
  deps: ProviderDeps,
  config: ProviderConfig<'foundry'>,
  source: TokenSource<Token> = createAzureTokens(),
): Upstream {
  const { name, auth, resource } = config
  const base = new URL(config.base_url ?? `https://${resource}.services.ai.azure.com/anthropic`)
  const tokens = createTokenCache(deps, `access token of ${name}`, source)
  const headersFor = createCloudHeaders(config.headers)

  return createCloud(deps, {
    name,
    provider: 'foundry',
    async prepare(ask, model) {
      const headers = headersFor(ask)
      headers.push(...betasAsSent(ask))
      const body = editCloudBody(ask.body, { drop: [], model, keepsStream: true })
      const request = { url: base, target: apiTarget(base, ask), headers, body }
      if ('api_key' in auth) {
        headers.push('x-api-key', auth.api_key)
        return request
      }
      const token = await tokens.get(ask.signal)
      headers.push('authorization', `Bearer ${token.value}`)
      headers.push('anthropic-dangerous-direct-browser-access', 'true')
      return { ...request, refused: () => tokens.refuse(token) }
    },
  })
}
