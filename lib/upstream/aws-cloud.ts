/**
 * What the three providers behind AWS share: their default address, and headers that carry either
 * a fixed credential or a signature over the request.
 */
import type { AwsIdentity } from './aws-credentials.ts'
import { createAwsSigner } from './aws-signer.ts'
import type { CloudRequest } from './cloud.ts'
import type { Ask, ProviderDeps } from './upstream.ts'

export interface Unauthorized {
  readonly url: URL
  readonly target: string
  readonly headers: string[]
  readonly body: Uint8Array
}

/** Completes a request so that the provider takes it; rejects with why it cannot. */
export type Authorize = (request: Unauthorized, ask: Ask) => Promise<CloudRequest>

/** A credential that is the same for every request. */
export function authorizeWith(name: string, value: string): Authorize {
  return (request) => Promise.resolve({ ...request, headers: [...request.headers, name, value] })
}

/** Signs each request for `service` with the keys that `identity` has for its caller. */
export function authorizeSigned(
  { clock }: ProviderDeps,
  service: string,
  region: string,
  identity: AwsIdentity,
): Authorize {
  const sign = createAwsSigner(service, region)
  return async (request, { caller, signal }) => {
    const keys = await identity(caller, signal)
    return { ...request, headers: sign(request, keys, clock.now()) }
  }
}
