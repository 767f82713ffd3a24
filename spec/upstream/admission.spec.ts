import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { createLog } from '../../lib/kernel/log.ts'
import { createAdmission, type Place } from '../../lib/upstream/admission.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const never = new AbortController().signal

function create(openMax: number, bytesMax: number, isConfigured = false) {
  const lines: string[] = []
  const clock = createFakeClock()
  const { log } = createLog('info', (line) => lines.push(line), clock)
  return {
    lines,
    clock,
    admission: createAdmission({ openMax, bytesMax, isConfigured }, clock, log),
  }
}

function isOverloaded(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'inference/overloaded'
}

test('admission: with room nobody waits, not even for a promise', () => {
  const { admission, lines } = create(2, 100)
  const place = admission.enter(10, never)
  assert.ok(!(place instanceof Promise))
  assert.equal(admission.open, 1)
  place.leave()
  place.leave()
  assert.equal(admission.open, 0)
  assert.deepEqual(lines, [])
})

test('admission: beyond the bound requests wait their turn, first come first served', async () => {
  const { admission } = create(2, 100)
  const first = await admission.enter(1, never)
  const second = await admission.enter(1, never)
  const order: string[] = []
  const places: Promise<void>[] = ['b', 'c'].map(async (name) => {
    const place: Place = await admission.enter(1, never)
    order.push(name)
    place.leave()
  })
  assert.equal(admission.waiting, 2)
  first.leave()
  await Promise.all(places)
  second.leave()
  assert.deepEqual(order, ['b', 'c'])
  assert.equal(admission.open, 0)
})

test('admission: bytes are bounded too, and given back before the answer is over', async () => {
  const { admission } = create(10, 100)
  const large = await admission.enter(80, never)
  const waiting = admission.enter(30, never)
  assert.ok(waiting instanceof Promise)
  large.releaseBytes()
  const place = await waiting
  assert.equal(admission.open, 2)
  place.leave()
  large.leave()
  assert.equal(admission.open, 0)
})

test('admission: a body larger than the bound is admitted when it is alone', async () => {
  const { admission } = create(10, 100)
  const place = await admission.enter(1000, never)
  assert.equal(admission.open, 1)
  place.leave()
})

test('admission: a small request does not overtake a large one that waits', async () => {
  const { admission } = create(10, 100)
  const first = await admission.enter(60, never)
  const large = admission.enter(90, never)
  const small = admission.enter(1, never)
  assert.equal(admission.waiting, 2)
  first.leave()
  ;(await large).leave()
  ;(await small).leave()
  assert.equal(admission.open, 0)
})

test('admission: after ten seconds the answer is 529 with a time to come back (B030)', async () => {
  const { admission, clock } = create(1, 100)
  const place = await admission.enter(1, never)
  const refused = assert.rejects(Promise.resolve(admission.enter(1, never)), isOverloaded)
  await clock.advance(10_000)
  await refused
  assert.equal(admission.waiting, 0)
  place.leave()
  assert.equal(admission.open, 0)
})

test('admission: a queue as long as the bound refuses at once', async () => {
  const { admission, clock } = create(1, 100)
  const place = await admission.enter(1, never)
  const waiting = Promise.resolve(admission.enter(1, never)).catch(() => 'refused later')
  assert.throws(() => admission.enter(1, never), isOverloaded)
  await clock.advance(10_000)
  assert.equal(await waiting, 'refused later')
  place.leave()
})

test('admission: a client that leaves gives up its turn', async () => {
  const { admission } = create(1, 100)
  const place = await admission.enter(1, never)
  const client = new AbortController()
  const waiting = Promise.resolve(admission.enter(1, client.signal))
  client.abort(new ClientGone())
  await assert.rejects(waiting, ClientGone)
  assert.equal(admission.waiting, 0)
  place.leave()
  assert.throws(() => admission.enter(1, client.signal), ClientGone)
})

test('admission: the warning names the variable, at most once a minute (F211)', async () => {
  const { admission, clock, lines } = create(1, 100, true)
  const place = await admission.enter(1, never)
  const attempt = (): Promise<unknown> =>
    Promise.resolve(admission.enter(1, never)).catch(() => 'refused')
  const first = attempt()
  await clock.advance(10_000)
  await first
  const second = attempt()
  await clock.advance(10_000)
  await second
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /2 client requests are open; BUN_CONFIG_MAX_HTTP_REQUESTS admits 1/)
  await clock.advance(60_000)
  const third = attempt()
  await clock.advance(10_000)
  await third
  assert.equal(lines.length, 2)
  place.leave()
})
