/**
 * Two replicas on one Postgres behind relays that refuse, hang, cut and forget at random, for two
 * minutes: every call settles in its time, nothing is taken twice, no connection is lost for
 * good, and the moment the trouble ends everything works.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { createKv } from '../../lib/store/kv.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { createRateLimit } from '../../lib/store/rate-limit.ts'
import { createDatabase } from '../support/database.ts'
import { createRandom } from '../support/random.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore, plenty } from '../support/store.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const soakMs = 120_000
const callersPerReplica = 25
const connectionsMax = 5
/** `kv` waits two seconds; the rest is a busy machine. */
const callMs = 2000
const slackMs = 3000

const random = createRandom()
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('store soak: two replicas live through two minutes of trouble', async (t) => {
  t.diagnostic(`seed ${random.seed}`)
  const database = await createDatabase({ after })
  await migrate({ store: openStore({ after }, database.url), log: createRecorder().log })
  const port = Number(new URL(database.url).port)
  const replicas = await Promise.all(
    [1, 2].map(async () => {
      const proxy = await startTcpProxy({ after }, { host: '127.0.0.1', port })
      const store = openStore({ after }, proxy.through(database.url), { max: connectionsMax })
      return { proxy, store, kv: createKv(store), rateLimit: createRateLimit(store) }
    }),
  )
  const until = performance.now() + soakMs
  const over = (): boolean => performance.now() > until
  const counts = { answered: 0, unavailable: 0, trouble: 0 }
  let slowestMs = 0

  const call = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    const startedAt = performance.now()
    try {
      const value = await work()
      counts.answered++
      return value
    } catch (error) {
      if (!(error instanceof GatewayError && error.code === 'store/unavailable')) throw error
      counts.unavailable++
      return undefined
    } finally {
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    }
  }
  const caller = async ({ kv, rateLimit, store }: (typeof replicas)[number], name: string) => {
    for (let round = 0; !over(); round++) {
      const prize = `prize ${Math.floor(round / 4)}`
      const isFirst = await call(() => kv.claim(`${prize} made`, '1', 60))
      if (isFirst === true) await call(() => kv.set(prize, name, 60))
      if ((await call(() => kv.take(prize))) !== undefined) await call(() => kv.get(prize))
      const own = `${name} ${round}`
      await call(() => kv.set(own, 'mine', 60))
      const taken = await Promise.all([1, 2, 3].map(() => call(() => kv.take(own))))
      const times = taken.filter((value) => value === 'mine').length
      assert.ok(times <= 1, `${own} was taken ${times} times`)
      await call(() => rateLimit.hit(`rl:${name}`, 10, 5))
      await call(() =>
        store.transaction(
          async (tx) => {
            await tx.query('SELECT 1')
            await tx.query('SELECT pg_sleep(0.01)')
          },
          { timeoutMs: callMs },
        ),
      )
    }
  }
  const trouble = async ({ proxy }: (typeof replicas)[number]) => {
    while (!over()) {
      await pause(random.below(1500))
      counts.trouble++
      const kind = random.below(4)
      if (kind === 0) proxy.cut()
      else if (kind === 1) proxy.forget()
      else if (kind === 2) proxy.hang()
      else await proxy.refuse()
      await pause(random.below(kind === 2 ? 6000 : 800))
      await proxy.forward()
    }
  }
  await Promise.all(
    replicas.flatMap((replica, index) => [
      trouble(replica),
      ...Array.from({ length: callersPerReplica }, (_, n) => caller(replica, `${index}.${n}`)),
    ]),
  )
  t.diagnostic(JSON.stringify({ ...counts, slowestMs: Math.round(slowestMs) }))
  assert.ok(slowestMs < callMs + slackMs, `a call took ${slowestMs} ms`)
  assert.ok(counts.answered > 1000 && counts.unavailable > 10 && counts.trouble > 20)

  // Connections that were half open may still be timing out; calls must not notice.
  for (const { store, kv } of replicas) {
    await kv.set('afterwards', 'fine', 60)
    assert.equal(await kv.get('afterwards'), 'fine')
    const all = Array.from({ length: 20 }, () => store.query('SELECT pg_sleep(0.01)', [], plenty))
    await Promise.all(all)
  }
  await pause(6000)
  for (const { proxy } of replicas) assert.ok(proxy.connections <= connectionsMax)
})
