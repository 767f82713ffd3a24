import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { createRoster, type Member } from '../../lib/kernel/roster.ts'
import { createRandom } from '../support/random.ts'

interface Named extends Member {
  readonly name: number
}

const member = (name: number): Named => ({ name, place: -1 })

test('roster: knows its members and how many they are', () => {
  const roster = createRoster<Named>()
  const [a, b, c] = [member(1), member(2), member(3)]
  for (const one of [a, b, c]) roster.add(one)
  roster.delete(a)
  assert.equal(roster.size, 2)
  assert.deepEqual(new Set(roster.members()), new Set([b, c]))
})

test('roster: deleting what is not in it, or not any more, does nothing', () => {
  const roster = createRoster<Named>()
  const [a, b] = [member(1), member(2)]
  roster.delete(a)
  roster.add(a)
  roster.add(b)
  roster.delete(a)
  roster.delete(a)
  assert.deepEqual(roster.members(), [b])
})

test('roster: members may leave and come while they are gone through', () => {
  const roster = createRoster<Named>()
  for (let name = 0; name < 5; name++) roster.add(member(name))
  const seen: number[] = []
  for (const one of roster.members()) {
    seen.push(one.name)
    roster.delete(one)
    roster.add(member(one.name + 10))
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4])
  assert.equal(roster.size, 5)
})

test('roster: agrees with a set over any coming and going', () => {
  const random = createRandom()
  const roster = createRoster<Named>()
  const model = new Set<Named>()
  const all = Array.from({ length: 40 }, (_, name) => member(name))
  for (let step = 0; step < 5_000; step++) {
    const one = all[random.below(all.length)]
    assert.ok(one !== undefined)
    if (model.has(one) || random.below(3) === 0) {
      roster.delete(one)
      model.delete(one)
    } else {
      roster.add(one)
      model.add(one)
    }
    assert.equal(roster.size, model.size, `seed ${random.seed}`)
  }
  assert.deepEqual(new Set(roster.members()), model, `seed ${random.seed}`)
})

/** Bytes that stay behind when members with 2 KB each come and go, with small collections only. */
function measureResidue(create: string): number {
  const script = `
    import { createRoster } from '${new URL('../../lib/kernel/roster.ts', import.meta.url).href}'
    const collection = ${create}
    const passThrough = () => {
      const members = Array.from({ length: 20 }, () => ({ place: -1, load: new Array(250).fill(0) }))
      for (const one of members) collection.add(one)
      for (const one of members) collection.delete(one)
    }
    const before = process.memoryUsage().heapUsed
    for (let round = 0; round < 60; round++) {
      for (let turn = 0; turn < 10; turn++) passThrough()
      gc({ type: 'minor' })
    }
    console.log(process.memoryUsage().heapUsed - before)
  `
  const flags = ['--expose-gc', '--input-type=module', '--no-warnings', '-e', script]
  return Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }))
}

test('roster: members that left don’t stay in memory until the next full collection', () => {
  const residue = measureResidue('createRoster()')
  assert.ok(residue < 4e6, `${residue} bytes stayed`)
  // Were this to change in V8, a plain Set would do.
  assert.ok(measureResidue('new Set()') > 4 * residue)
})
