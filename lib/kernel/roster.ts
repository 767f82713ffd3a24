/**
 * A collection of objects that come and go with every request: open exchanges, deadlines. A `Set`
 * does that too, but each time its table fills up it makes a new one and links the old one to it;
 * once a garbage collection has moved one such table to the old generation, it keeps all later
 * ones and their members alive until the next full collection. Under load that tripled the cost
 * of collecting and doubled the memory (measured: `bench/README.md`).
 */
export interface Member {
  /** Where its roster keeps it, -1 outside. Only the roster touches it. */
  place: number
}

export interface Roster<T extends Member> {
  /** Of one roster at a time; a member is not added twice. */
  add(member: T): void
  /** Nothing when it is not in the roster. */
  delete(member: T): void
  /** Those of this moment, in no order; may change while they are gone through. */
  members(): readonly T[]
  readonly size: number
}

export function createRoster<T extends Member>(): Roster<T> {
  const members: T[] = []
  return {
    add(member) {
      member.place = members.push(member) - 1
    },
    delete(member) {
      const { place } = member
      if (place === -1) return
      member.place = -1
      const last = members.pop()
      if (last === undefined || last === member) return
      members[place] = last
      last.place = place
    },
    members: () => members.slice(),
    get size() {
      return members.length
    },
  }
}
