/**
 * Whom a call is billed to within the company: the group that the client names in the tag of
 * `admin.billing_group_tag`. Read by inference for the audit line. A client may only name a group
 * its person is in: any other text of a client's stays out of the audit.
 */
import type { JsonBody } from '../stream/json-body.ts'

export type BillingGroup =
  | { readonly kind: 'named'; readonly group: string }
  /** Something was named that is none of the person's groups. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'none' }

/** The group in `tag` of the body's `tags`, if it is one of `groups`. */
export function readBillingGroup(
  tag: string,
  body: JsonBody,
  groups: readonly string[],
): BillingGroup {
  const tags = body.value('tags')
  const isMap = typeof tags === 'object' && tags !== null && !Array.isArray(tags)
  if (!isMap || !Object.hasOwn(tags, tag)) return { kind: 'none' }
  const named: unknown = Reflect.get(tags, tag)
  const isTheirs = typeof named === 'string' && groups.includes(named)
  return isTheirs ? { kind: 'named', group: named } : { kind: 'ignored' }
}
