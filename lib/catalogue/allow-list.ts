/**
 * `upstreams[].models`: which of the catalogue's models an upstream may serve. A plain id stands
 * for its model in every spelling; an id with `*` is compared with what the client sent, letter
 * by letter, so that it never reaches further than its author could see.
 */
import type { Entry } from './entry.ts'

/** Tells whether a model asked for as `spelling` (lower case) may go to the upstream. */
export type AllowList = (entry: Entry, spelling: string) => boolean

const everything: AllowList = () => true

export function createAllowList(models: readonly string[] | undefined): AllowList {
  if (models === undefined) return everything
  const plain = models.filter((id) => !isPattern(id)).map((id) => id.toLowerCase())
  const patterns = models.filter(isPattern).map(compile)
  return (entry, spelling) =>
    plain.some((id) => entry.spellings.has(id)) || patterns.some((matches) => matches(spelling))
}

function isPattern(id: string): boolean {
  return id.includes('*')
}

/** `*` is any run of characters. Greedy, so the time is linear whatever the pattern. */
function compile(pattern: string): (spelling: string) => boolean {
  const [head = '', ...rest] = pattern.toLowerCase().split('*')
  const tail = rest.pop() ?? ''
  return (spelling) => {
    if (spelling.length < head.length + tail.length) return false
    if (!spelling.startsWith(head) || !spelling.endsWith(tail)) return false
    const end = spelling.length - tail.length
    let from = head.length
    for (const part of rest) {
      const at = spelling.indexOf(part, from)
      if (at < 0 || at + part.length > end) return false
      from = at + part.length
    }
    return true
  }
}
