import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { abortWith, type Cancellation, Canceller } from '../../lib/kernel/cancellation.ts'

/** What is asked of both kinds: an AbortSignal is a cancellation, too. */
function kinds(): { cancellation: Cancellation; abort: (reason: unknown) => void }[] {
  const own = new Canceller()
  const controller = new AbortController()
  return [
    { cancellation: own, abort: (reason) => own.abort(reason) },
    { cancellation: controller.signal, abort: (reason) => controller.abort(reason) },
  ]
}

test('cancellation: listeners are told once, with the reason there, and not when they have left', () => {
  for (const { cancellation, abort } of kinds()) {
    const told: string[] = []
    const left = (): void => void told.push('left')
    cancellation.addEventListener('abort', () => told.push(String(cancellation.reason)))
    cancellation.addEventListener('abort', left)
    cancellation.addEventListener('abort', () => told.push('second'), { once: true })
    cancellation.removeEventListener('abort', left)
    cancellation.removeEventListener('abort', left)
    assert.deepEqual([cancellation.aborted, cancellation.reason], [false, undefined])
    cancellation.throwIfAborted()
    abort('why')
    abort('again')
    assert.deepEqual(told, ['why', 'second'])
    assert.deepEqual([cancellation.aborted, cancellation.reason], [true, 'why'])
  }
})

test('cancellation: once aborted it throws its reason, and tells nobody who comes later', () => {
  for (const { cancellation, abort } of kinds()) {
    const reason = new ClientGone()
    abort(reason)
    assert.throws(
      () => cancellation.throwIfAborted(),
      (error) => error === reason,
    )
    cancellation.addEventListener('abort', () => assert.fail('it was aborted before'))
    abort(reason)
  }
})

test('cancellation: a listener that throws keeps no other from being told', () => {
  const canceller = new Canceller()
  let told = 0
  const fault = new Error('a fault of a listener')
  canceller.addEventListener('abort', () => {
    throw fault
  })
  canceller.addEventListener('abort', () => told++)
  assert.throws(
    () => canceller.abort('why'),
    (error) => error === fault,
  )
  assert.equal(told, 1)
})

test('cancellation: an AbortController follows it until unlinked, and at once when it is late', () => {
  const canceller = new Canceller()
  const [first, unlinked, late] = [0, 1, 2].map(() => new AbortController())
  assert.ok(first && unlinked && late)
  abortWith(canceller, first)
  abortWith(canceller, unlinked)()
  canceller.abort('why')
  abortWith(canceller, late)
  assert.deepEqual(
    [first, unlinked, late].map(({ signal }) => signal.reason as unknown),
    ['why', undefined, 'why'],
  )
})
