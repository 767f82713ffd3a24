/**
 * The keys that requests to AWS are signed with: those in the configuration, or AWS's default
 * chain (environment, files, SSO, web identity, container and instance roles). The chain is the
 * SDK's, loaded with the first request that needs it; `token-cache.ts` bounds and keeps it.
 */
import type { Caller } from '../kernel/caller.ts'
import type { Cancellation } from '../kernel/cancellation.ts'
import type { Credentials } from './credentials-config.ts'
import { createTokenCache, type Expiring, type TokenSource } from './token-cache.ts'
import type { ProviderDeps } from './upstream.ts'

/** In the SDK's spelling. */
export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface ExpiringKeys extends Expiring {
  readonly keys: AwsKeys
}

/** Keys for a request of `caller`; rejects with why there are none, or the signal's reason. */
export type AwsIdentity = (caller: Caller, signal: Cancellation) => Promise<AwsKeys>

/** Keys without an end, of a file say, are asked for again within this: somebody rotates them. */
const endlessKeysMs = 15 * 60_000

/** The configured keys, else the default chain's. */
export function createAwsIdentity(
  deps: ProviderDeps,
  name: string,
  auth: Credentials['platform'],
  chain: TokenSource<ExpiringKeys> = createDefaultChain(deps),
): AwsIdentity {
  const { aws_access_key_id, aws_secret_access_key, aws_session_token } = auth
  if (aws_access_key_id !== undefined && aws_secret_access_key !== undefined) {
    const keys: AwsKeys = {
      accessKeyId: aws_access_key_id,
      secretAccessKey: aws_secret_access_key,
      ...(aws_session_token !== undefined && { sessionToken: aws_session_token }),
    }
    return () => Promise.resolve(keys)
  }
  const cache = createTokenCache(deps, `AWS credentials of ${name}`, chain)
  return async (_, signal) => (await cache.get(signal)).keys
}

function createDefaultChain({ clock }: ProviderDeps): TokenSource<ExpiringKeys> {
  return async () => {
    const { defaultProvider } = await import('@aws-sdk/credential-provider-node')
    // A provider remembers what it found; each renewal is to look again.
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await defaultProvider()()
    return {
      keys: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
      expiresAt: expiration?.getTime() ?? clock.now() + endlessKeysMs,
    }
  }
}
