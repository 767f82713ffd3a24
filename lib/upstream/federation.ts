/**
 * Workload identity federation of provider `anthropic`: exchanges the identity token that the
 * platform keeps in a file for an access token of the API (RFC 7523). Behind a token cache only.
 * The identity token goes to the configured upstream and nowhere else.
 */
import { readFile } from 'node:fs/promises'
import { compatibilityVersion } from '../kernel/compatibility.ts'
import type { Credentials } from './credentials-config.ts'
import { readTokenAnswer } from './token-answer.ts'
import type { Token, TokenSource } from './token-cache.ts'
import type { ProviderDeps } from './upstream.ts'

export type Federation = Extract<Credentials['anthropic'], { federation_rule_id: string }>

/** `base` is the API's address, whose path is kept. */
export function createFederatedTokens(
  { egress, clock }: Pick<ProviderDeps, 'egress' | 'clock'>,
  base: URL,
  auth: Federation,
): TokenSource<Token> {
  const url = new URL(base)
  url.pathname = `${base.pathname.replace(/\/$/, '')}/v1/oauth/token`
  return async (signal) => {
    // Read again each time: platforms replace the file every hour or so.
    const file = await readFile(auth.identity_token_file, { encoding: 'utf8', signal })
    const response = await egress.fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'anthropic-beta': 'oauth-2025-04-20,oidc-federation-2026-04-01',
        'user-agent': `cc-gateway/${compatibilityVersion}`,
      },
      body: JSON.stringify({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: file.trim(),
        federation_rule_id: auth.federation_rule_id,
        organization_id: auth.organization_id,
        service_account_id: auth.service_account_id,
        workspace_id: auth.workspace_id,
      }),
      signal,
    })
    return readTokenAnswer(response, clock)
  }
}
