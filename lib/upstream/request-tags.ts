/**
 * The tags of a request where the operator has named one as the billing group
 * (`admin.billing_group_tag`): then they speak to the gateway alone. Called by inference before
 * anything of the request leaves it; no upstream and no webhook may see them or their beta.
 */
import { betasWithoutTags } from './cloud-body.ts'
import type { Ask } from './upstream.ts'

/** What of a request depends on the client alone. */
export type Sent = Pick<Ask, 'body' | 'headers'>

/** What is left for others; a request without tags keeps the client's very bytes. */
export function withoutRequestTags({ body, headers }: Sent): Sent {
  const { 'anthropic-beta': sent, ...others } = headers
  const [, betas] = betasWithoutTags(headers)
  const isSame = betas === sent || sent === ''
  return {
    body: body.without('tags'),
    headers: isSame ? headers : { ...others, ...(betas && { 'anthropic-beta': betas }) },
  }
}
