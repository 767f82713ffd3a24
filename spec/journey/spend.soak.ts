/**
 * The promises about money, on real processes and a real PostgreSQL: nothing is lost in an outage,
 * `kill -9` loses a moment, caps hold on every replica. Prints its figures.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { send } from '../support/client.ts'
import { createDatabase, startServer } from '../support/database.ts'
import { createFakeUpstream, messageCosting } from '../support/fake-upstream.ts'
import { freePort, type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const server = new URL(database.url)
const proxy = await startTcpProxy({ after }, { host: server.hostname, port: Number(server.port) })
const agent = new Agent({ keepAlive: true, maxSockets: 200 })
after(() => agent.destroy())

const writeKey = 'w'.repeat(40)
const admin = { write_keys: [{ id: 'soak', key: writeKey }] }
const quiet = { CLAUDE_GATEWAY_LOG_LEVEL: 'info' }
const start = (
  scope: Parameters<typeof startGateway>[0],
  config: object = {},
  url = database.url,
): Promise<GatewayProcess> =>
  startGateway(scope, {
    postgresUrl: url,
    issuer: provider.issuer,
    upstream: upstream.url,
    environment: quiet,
    config: { admin, ...config },
  })

/** One call over a kept connection; resolves with its status, 0 when there was none. */
function call(
  gateway: GatewayProcess,
  token: string,
  { maxTokens = 5, text = '' } = {},
): Promise<number> {
  const messages = [{ role: 'user', content: text }]
  const body = JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: maxTokens, messages })
  return new Promise((resolve) => {
    const sent = request(
      `${gateway.url}/v1/messages`,
      {
        method: 'POST',
        agent,
        headers: { authorization: `Bearer ${token}`, 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
        response.on('error', () => resolve(0))
      },
    )
    sent.on('error', () => resolve(0))
    sent.end(body)
  })
}

async function spent(like: string): Promise<number> {
  const [row] = await database.query(
    `SELECT coalesce(sum(cents), 0) AS cents FROM spend
     WHERE principal LIKE $1 AND period LIKE '____-__'`,
    [`${like}%`],
  )
  return Number(row?.['cents'])
}

const cap = (scope: string, id: string, amount: number, where = database) =>
  where.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ($1, $2, $3, $4)
     ON CONFLICT (scope_type, scope_id, period) DO UPDATE SET amount = EXCLUDED.amount`,
    [`spl_${randomUUID()}`, scope, id, amount],
  )

const say = (text: string): void => console.log(`  ${text}`)

test('spend soak: 500 calls a second of 50 capped callers cost a handful of statements', async (t) => {
  const port = await freePort()
  // PostgreSQL's own log says what it was asked: one line for each statement.
  const statements: string[] = []
  const logging = await startServer(t, {
    settings: { log_statement: 'all' },
    serverLog(line) {
      const text = /LOG:\s+(?:statement|execute [^:]*): (.*)/.exec(line)?.[1]
      if (text !== undefined) statements.push(text)
    },
  })
  const own = await createDatabase(t, logging.url)
  const gateway = await start(t, { extensions: { metrics: { port } } }, own.url)
  upstream.always({ body: messageCosting(1) })
  const tokens = Array.from({ length: 50 }, (_, index) =>
    sessionToken(gateway.url, { sub: `steady-${index}`, groups: [] }),
  )
  for (let index = 0; index < 50; index++) await cap('user', `steady-${index}`, 10_000_000, own)
  const asked = async (): Promise<{ asks: number; syncs: number }> => {
    const { body } = await send(`http://127.0.0.1:${port}/metrics`)
    const read = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(body)?.[1])
    return { asks: read('gateway_spend_asks_total'), syncs: read('gateway_spend_syncs_total') }
  }
  const statuses = new Map<number, number>()
  const run = async (seconds: number): Promise<number> => {
    const open: Promise<void>[] = []
    const begun = performance.now()
    let sent = 0
    while (performance.now() - begun < seconds * 1000) {
      const due = Math.floor(((performance.now() - begun) / 1000) * 500)
      for (; sent < due; sent++) {
        const token = tokens[sent % tokens.length] ?? ''
        open.push(
          call(gateway, token).then((status) => {
            statuses.set(status, (statuses.get(status) ?? 0) + 1)
          }),
        )
      }
      await sleep(5)
    }
    await Promise.all(open)
    return sent / seconds
  }
  await run(3)
  const before = await asked()
  const seen = statements.length
  const rate = await run(10)
  const now = await asked()
  const counted = new Map<string, number>()
  for (const text of statements.slice(seen)) {
    const name = text.slice(0, 50)
    counted.set(name, (counted.get(name) ?? 0) + 1)
  }
  const perSecond = (statements.length - seen) / 10
  say(
    `${rate.toFixed(0)} calls/s: ${perSecond.toFixed(1)} statements/s in the log of PostgreSQL, ` +
      `${((now.syncs - before.syncs) / 10).toFixed(1)} about spend, ${now.asks - before.asks} waited for`,
  )
  for (const [text, count] of counted) say(`  ${count} × ${text}`)
  assert.deepEqual([...statuses.keys()], [200])
  assert.equal(now.asks - before.asks, 0)
  assert.ok(perSecond > 1, 'the log was not read')
  assert.ok(perSecond <= 25, `${perSecond} statements a second`)
})

test('spend soak: fifty times kill -9 under load, each losing a moment at most', async (t) => {
  upstream.always({ body: messageCosting(1) })
  const rounds = Number(process.env['SOAK_KILLS'] ?? 50)
  let lostMax = 0
  const lostMs: number[] = []
  /** Milliseconds from one batch to the next, by PostgreSQL's clock: what this machine made of 100. */
  const gaps: number[] = []
  let total = 0
  for (let round = 0; round < rounds; round++) {
    const gateway = await start(t)
    const name = `killed-${round}`
    const arrivals: number[] = []
    let busy = true
    await database.query('DELETE FROM gateway_spend_batch')
    const load = Array.from({ length: 10 }, async (_, index) => {
      const token = sessionToken(gateway.url, { sub: `${name}-${index}`, groups: [] })
      while (busy) {
        // Counted when the whole answer is here: the upstream has sent it, the gateway has metered it.
        if ((await call(gateway, token)) === 200) arrivals.push(performance.now())
      }
    })
    await sleep(1200 + (round % 10) * 37)
    gateway.kill('SIGKILL')
    const killedAt = performance.now()
    const killedWall = Date.now()
    busy = false
    await gateway.exited
    await Promise.all(load)
    // A statement that had reached the database is finished there.
    await sleep(300)
    const lost = arrivals.length - (await spent(`${name}-`))
    total += arrivals.length
    lostMax = Math.max(lostMax, lost)
    const first = arrivals.at(-lost)
    const ofThis = lost > 0 && first !== undefined ? killedAt - first : 0
    lostMs.push(ofThis)
    const batches = await database.query(
      `SELECT extract(epoch FROM applied_at)::float8 * 1000 AS at FROM gateway_spend_batch ORDER BY 1`,
    )
    const times = batches.map(({ at }) => Number(at))
    const sinceLast = killedWall - (times.at(-1) ?? 0)
    gaps.push(...times.slice(1).map((at, index) => at - (times[index] ?? 0)), sinceLast)
    // Nothing is lost that was there when the last batch was made, however late that was.
    assert.ok(ofThis <= Math.max(100, sinceLast + 5), `${ofThis} ms, the last batch ${sinceLast}`)
  }
  for (const list of [lostMs, gaps]) list.sort((a, b) => a - b)
  const at = (list: readonly number[], share: number): string =>
    (list[Math.ceil(list.length * share) - 1] ?? 0).toFixed(0)
  say(
    `${rounds} kills, ${total} calls: at most ${lostMax} calls lost; of the last ${at(lostMs, 0.5)} ms ` +
      `in the median, ${at(lostMs, 0.9)} ms in nine of ten, ${at(lostMs, 1)} ms at most; ` +
      `batches ${at(gaps, 0.5)} ms apart in the median, ${at(gaps, 0.9)} in nine of ten, ${at(gaps, 1)} at most`,
  )
  // Ten callers without a pause and whatever else the machine does make timers late.
  assert.ok(Number(at(lostMs, 0.5)) <= 100)
  assert.ok(Number(at(gaps, 0.5)) <= 120)
})

test('spend soak: a thousand calls at once from two replicas overrun a nearly spent cap by one call at most', async (t) => {
  const replicas = [
    await start(t, { extensions: { spend: { reserve: true } } }),
    await start(t, { extensions: { spend: { reserve: true } } }),
  ]
  // Text of a token for each byte, all of it written to the cache for an hour, is 18 cents; 6,000
  // tokens of output, of the 8,000 that the client allows, are 9.
  const text = '7'.repeat(30_000)
  const usage = {
    input_tokens: 0,
    cache_creation_input_tokens: 30_000,
    cache_creation: { ephemeral_1h_input_tokens: 30_000 },
    output_tokens: 6000,
  }
  const cents = 27
  const body = JSON.stringify({ type: 'message', content: [], usage })
  upstream.always({ headAfterMs: 200, body })
  await cap('user', 'reserved', 200)
  const calls = Array.from({ length: 1000 }, (_, index) => {
    const gateway = replicas[index % 2]
    assert.ok(gateway)
    const token = sessionToken(gateway.url, { sub: 'reserved', groups: [] })
    return call(gateway, token, { maxTokens: 8000, text })
  })
  const statuses = await Promise.all(calls)
  const passed = statuses.filter((status) => status === 200).length
  assert.ok(statuses.every((status) => status === 200 || status === 429))
  const wanted = passed * cents
  for (let turn = 0; turn < 100 && (await spent('reserved')) < wanted; turn++) await sleep(50)
  const total = await spent('reserved')
  say(
    `1000 calls, 2 replicas, cap 200 cents, 27 cents each: ${passed} passed, ${total} cents spent`,
  )
  assert.equal(Math.round(total), wanted)
  assert.ok(total < 200 + cents, `${total} cents`)
  // Each holds a little more than 30 cents, the other replica's lease a tenth of the cap at most,
  // and whoever finds room at all is let in.
  assert.ok(passed >= Math.ceil((200 - 20) / 30.2), `${passed} passed`)
  // What the parallel ones had no room for can be spent, one after the other, up to the cap.
  upstream.always({ body })
  let spentByNow = total
  const begun = performance.now()
  const one = (gateway: GatewayProcess): Promise<number> =>
    call(gateway, sessionToken(gateway.url, { sub: 'reserved', groups: [] }), {
      maxTokens: 8000,
      text,
    })
  for (let turn = 0; spentByNow < 200; turn++) {
    assert.ok(performance.now() - begun < 20_000, `stuck at ${spentByNow} cents`)
    const gateway = replicas[turn % 2]
    assert.ok(gateway)
    if ((await one(gateway)) === 200) spentByNow += cents
    else await sleep(100)
  }
  for (const gateway of [...replicas, ...replicas]) assert.equal(await one(gateway), 429)
  for (let turn = 0; turn < 100 && (await spent('reserved')) < spentByNow; turn++) await sleep(50)
  assert.equal(Math.round(await spent('reserved')), Math.round(spentByNow))
  assert.ok(spentByNow < 200 + cents, `${spentByNow} cents`)
  say(`then one after the other: ${spentByNow} cents spent, and every further call refused`)
})

test('spend soak: a cap that changes on one replica holds on the other', async (t) => {
  const [one, other] = [await start(t), await start(t)]
  upstream.always({ body: messageCosting(0) })
  const token = sessionToken(other.url, { sub: 'watched', groups: [] })
  const times: number[] = []
  for (let round = 0; round < 100; round++) {
    const amount = round % 2 === 0 ? '0' : '1000'
    const wanted = round % 2 === 0 ? 429 : 200
    const scope = { type: 'user', user_id: 'watched' }
    const reply = await send(`${one.url}/v1/organizations/spend_limits`, {
      headers: { 'x-api-key': writeKey },
      body: JSON.stringify({ scope, amount }),
    })
    assert.equal(reply.status, 200)
    const begun = performance.now()
    while ((await call(other, token)) !== wanted) {
      assert.ok(performance.now() - begun < 10_000, 'never heard of')
    }
    times.push(performance.now() - begun)
  }
  times.sort((a, b) => a - b)
  const [p50 = 0, p99 = 0] = [times[49], times[98]]
  say(
    `cap change to enforcement elsewhere, the call included: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
  )
  assert.ok(p99 <= 250, `${p99} ms`)
})

test('spend soak: an outage of PostgreSQL under load loses nothing', async (t) => {
  const minutes = Number(process.env['SOAK_OUTAGE_MINUTES'] ?? 10)
  const gateway = await start(t, {}, proxy.through(database.url))
  upstream.always({ body: messageCosting(1) })
  let passed = 0
  let busy = true
  const load = Array.from({ length: 10 }, async (_, index) => {
    const token = sessionToken(gateway.url, { sub: `outage-${index}`, groups: [] })
    while (busy) {
      if ((await call(gateway, token)) === 200) passed += 1
      await sleep(50)
    }
  })
  await sleep(2000)
  await proxy.refuse()
  await sleep(minutes * 30_000)
  await proxy.forward()
  proxy.hang()
  await sleep(minutes * 30_000)
  await proxy.forward()
  await sleep(2000)
  busy = false
  await Promise.all(load)
  for (let turn = 0; turn < 600 && (await spent('outage-')) < passed; turn++) await sleep(50)
  const total = await spent('outage-')
  say(
    `${minutes} minutes of outage, half refused and half hanging: ${passed} calls, ${total} cents counted`,
  )
  assert.equal(total, passed)
})
