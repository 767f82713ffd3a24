/**
 * Who a report comes from, as attributes: the names that say so, and what the session says they
 * are. For `otlp-protobuf.ts` and `otlp-json.ts`, which write them in their own formats.
 */
import type { Caller } from '../kernel/caller.ts'

/** Name → value; null for a name nobody may use because the session has nothing to say there. */
export type Person = ReadonlyMap<string, string | null>

/** What is put on every report, whether the client sent it or not. */
export const stampedNames: readonly string[] = ['user.id', 'user.email', 'user.groups']

/** Claude Desktop's names for the same facts are replaced where they stand, and never added. */
export function personOf({ sub, email, groups }: Caller): Person {
  return new Map([
    ['user.id', sub],
    ['user.email', email ?? null],
    ['user.groups', groups.length === 0 ? null : groups.join(',')],
    ['enduser.id', email ?? sub],
    ['enduser.sub', sub],
  ])
}

const spellings: ReadonlyMap<string, string> = new Map(
  [...stampedNames, 'enduser.id', 'enduser.sub'].map((name) => [spell(name), name]),
)

/** The name of `Person` that an attribute's is taken for; undefined for every other attribute. */
export function identityName(name: string): string | undefined {
  return spellings.get(spell(name))
}

/** Metric stores write `_` for what they cannot have in a name: `user_id` is `user.id` to them. */
function spell(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')
}
