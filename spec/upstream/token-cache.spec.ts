import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientGone, DeadlineExceeded } from '../../lib/kernel/abort.ts'
import {
  createTokenCache,
  fixedToken,
  type Token,
  type TokenCache,
} from '../../lib/upstream/token-cache.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'

const minute = 60_000
const hour = 60 * minute
const waiting = new AbortController().signal

interface Bench {
  readonly clock: FakeClock
  readonly tokens: TokenCache<Token>
  readonly lines: readonly string[]
  /** How often the source was asked. */
  readonly calls: () => number
  /** How the source answers from now on. */
  readonly answer: (how: (signal: AbortSignal) => Promise<Token>) => void
  readonly value: () => Promise<string>
}

/** A source of one-hour tokens `t1`, `t2`, …, until told otherwise. */
function createBench(lifeMs = hour): Bench {
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  let calls = 0
  let how = (): Promise<Token> =>
    Promise.resolve({ value: `t${calls}`, expiresAt: clock.now() + lifeMs })
  const tokens = createTokenCache<Token>({ clock, log }, 'access token of u1', (signal) => {
    calls++
    return source(signal)
  })
  let source: (signal: AbortSignal) => Promise<Token> = () => how()
  return {
    clock,
    tokens,
    lines,
    calls: () => calls,
    answer(next) {
      source = next
    },
    value: async () => (await tokens.get(waiting)).value,
  }
}

const refuses = (message: string) => (): Promise<Token> => Promise.reject(new Error(message))
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

test('token cache: one token serves all requests until five minutes before its end', async () => {
  const { clock, calls, value } = createBench()
  for (let i = 0; i < 100; i++) assert.equal(await value(), 't1')
  await clock.advance(hour - 5 * minute - 1)
  assert.equal(await value(), 't1')
  assert.equal(calls(), 1)
})

test('token cache: then it is renewed in the background, once (B031)', async () => {
  const { clock, calls, value } = createBench()
  await value()
  await clock.advance(hour - 5 * minute)
  assert.deepEqual(await Promise.all([value(), value(), value()]), ['t1', 't1', 't1'])
  await settle()
  assert.equal(await value(), 't2')
  assert.equal(calls(), 2)
})

test('token cache: of a short life the second half is for renewing', async () => {
  const { clock, calls, value } = createBench(4 * minute)
  await value()
  await clock.advance(2 * minute - 1)
  assert.equal(await value(), 't1')
  assert.equal(calls(), 1)
  await clock.advance(1)
  await value()
  await settle()
  assert.equal(await value(), 't2')
})

test('token cache: requests that find no token share one fetch (B031)', async () => {
  const { calls, value, answer, clock } = createBench()
  const { promise, resolve } = Promise.withResolvers<Token>()
  answer(() => promise)
  const values = Promise.all(Array.from({ length: 50 }, value))
  await settle()
  resolve({ value: 'slow', expiresAt: clock.now() + hour })
  assert.deepEqual(new Set(await values), new Set(['slow']))
  assert.equal(calls(), 1)
})

test('token cache: while renewing fails the old token is used until it ends', async () => {
  const { clock, calls, value, answer, lines } = createBench()
  await value()
  await clock.advance(hour - 4 * minute)
  answer(refuses('source down'))
  assert.equal(await value(), 't1')
  await settle()
  assert.match(lines.join(), /^warn the access token of u1 could not be renewed .*: source down$/)
  // A broken source is not asked by every request.
  for (let i = 0; i < 20; i++) assert.equal(await value(), 't1')
  assert.equal(calls(), 2)
  await clock.advance(4 * minute - 1)
  assert.equal(await value(), 't1')
  await settle()
  await clock.advance(1_001)
  await assert.rejects(value(), /source down/)
  answer(() => Promise.resolve({ value: 'new', expiresAt: clock.now() + hour }))
  await clock.advance(1_000)
  assert.equal(await value(), 'new')
})

test('token cache: a source that fails is asked again after a pause', async () => {
  const { clock, calls, value, answer } = createBench()
  answer(refuses('no credentials'))
  for (let i = 0; i < 10; i++) await assert.rejects(value(), /no credentials/)
  assert.equal(calls(), 1)
  await clock.advance(1_000)
  await assert.rejects(value(), /no credentials/)
  assert.equal(calls(), 2)
})

test('token cache: a source that throws is a source that fails', async () => {
  const { clock, value, answer } = createBench()
  answer(() => {
    throw new Error('at once')
  })
  await assert.rejects(value(), /at once/)
  answer(() => Promise.resolve({ value: 'later', expiresAt: clock.now() + hour }))
  await clock.advance(1_000)
  assert.equal(await value(), 'later')
})

test('token cache: nobody waits for a source longer than ten seconds', async () => {
  const { clock, value, answer, calls } = createBench()
  let aborted: unknown = null
  answer((signal) => {
    signal.addEventListener('abort', () => (aborted = signal.reason))
    return new Promise(() => {})
  })
  const late = new DeadlineExceeded('fetching the access token of u1', 10_000)
  const outcome = assert.rejects(value(), late)
  await clock.advance(10_000)
  await outcome
  assert.deepEqual(aborted, late)
  await clock.advance(1_000)
  answer(() => Promise.resolve({ value: 'back', expiresAt: clock.now() + hour }))
  assert.equal(await value(), 'back')
  assert.equal(calls(), 2)
})

test('token cache: a client that leaves stops waiting, the others go on', async () => {
  const { tokens, value, answer, clock, calls } = createBench()
  const { promise, resolve } = Promise.withResolvers<Token>()
  answer(() => promise)
  const leaving = new AbortController()
  const left = assert.rejects(tokens.get(leaving.signal), ClientGone)
  const stays = value()
  leaving.abort(new ClientGone())
  await left
  resolve({ value: 'kept', expiresAt: clock.now() + hour })
  assert.equal(await stays, 'kept')
  const gone = AbortSignal.abort(new ClientGone())
  assert.equal((await tokens.get(gone)).value, 'kept')
  assert.equal(calls(), 1)
})

test('token cache: a token that the provider refuses is replaced, unless it is brand-new', async () => {
  const { clock, tokens, value, calls } = createBench()
  const first = await tokens.get(waiting)
  tokens.refuse(first)
  assert.equal(await value(), 't1')
  await clock.advance(minute)
  tokens.refuse({ ...first })
  assert.equal(await value(), 't1', 'only the token at hand can be refused')
  tokens.refuse(first)
  assert.equal(await value(), 't2')
  assert.equal(calls(), 2)
})

test('token cache: a token that is over on arrival serves who waited, and nobody after', async () => {
  const { clock, value, answer, calls } = createBench()
  answer(() => Promise.resolve({ value: 'over', expiresAt: clock.now() }))
  assert.equal(await value(), 'over')
  assert.equal(await value(), 'over')
  assert.equal(calls(), 2)
})

test('token cache: a token of the operator is always there', async () => {
  const tokens = fixedToken('k')
  const token = await tokens.get(waiting)
  tokens.refuse(token)
  assert.equal((await tokens.get(waiting)).value, 'k')
})
