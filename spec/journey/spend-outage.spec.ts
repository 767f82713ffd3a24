/**
 * Money through real gateway processes while PostgreSQL is restarted and killed under load, and
 * while the network to it delays, drops, hangs and reorders.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { after, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDatabase, startServer, type TestDatabase } from '../support/database.ts'
import { createFakeUpstream, messageCosting } from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createRandom } from '../support/random.ts'
import { sessionToken } from '../support/session-token.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

// What is confirmed must survive a kill, so this server does not cut corners as others do.
const server = await startServer({ after }, { fsync: true })
const database = await createDatabase({ after }, server.url)
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
upstream.always({ body: messageCosting(1) })
const agent = new Agent({ keepAlive: true, maxSockets: 100 })
after(async () => {
  agent.destroy()
  await upstream.close()
})

const start = (config: object = {}, url = database.url): Promise<GatewayProcess> =>
  startGateway(
    { after },
    {
      postgresUrl: url,
      issuer: provider.issuer,
      upstream: upstream.url,
      config: { admin: { blocked_message: 'ask finops' }, ...config },
    },
  )

interface Answer {
  readonly status: number
  readonly body: string
}

/** One call over a kept connection. */
function call(gateway: GatewayProcess, token: string): Promise<Answer> {
  const body = JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 5, messages: [] })
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-length': Buffer.byteLength(body),
    }
    const sent = request(`${gateway.url}/v1/messages`, { method: 'POST', agent, headers })
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** People who call one after the other without a pause worth the name, until told to stop. */
function load(gateway: GatewayProcess, name: string, people = 5) {
  const answers: Answer[] = []
  let isOn = true
  const running = Array.from({ length: people }, async (_, index) => {
    const token = sessionToken(gateway.url, { sub: `${name}-${index}`, groups: [] })
    while (isOn) {
      answers.push(await call(gateway, token))
      await sleep(10)
    }
  })
  return {
    answers,
    async stop(): Promise<readonly Answer[]> {
      isOn = false
      await Promise.all(running)
      return answers
    },
  }
}

/** Until every period says `cents` of these people together. */
async function settled({ query }: Pick<TestDatabase, 'query'>, name: string, cents: number) {
  const look = async (): Promise<number[]> => {
    const rows = await query(
      `SELECT sum(cents) AS cents FROM spend WHERE principal LIKE $1
       GROUP BY CASE WHEN period LIKE '____-__' THEN 'm' WHEN period LIKE '%W%' THEN 'w' ELSE 'd' END`,
      [`${name}-%`],
    )
    return rows.map((row) => Number(row['cents']))
  }
  for (let tries = 0; tries < 200; tries++) {
    if ((await look()).every((found) => found === cents) && (await look()).length === 3) return
    await sleep(50)
  }
  assert.deepEqual(await look(), [cents, cents, cents])
}

const residentMiB = ({ pid }: GatewayProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

test('spend outage: PostgreSQL is restarted and killed under load, no call is refused and each counts once', async () => {
  const gateway = await start()
  const before = load(gateway, 'open')
  await sleep(1000)
  const memoryBefore = residentMiB(gateway)
  await server.restart()
  await sleep(500)
  process.kill(server.pid, 'SIGKILL')
  await sleep(1000)
  await server.restart()
  await sleep(1000)
  const answers = await before.stop()
  assert.ok(answers.length > 50, `${answers.length} calls`)
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  await settled(database, 'open', answers.length)
  assert.ok(residentMiB(gateway) - memoryBefore < 100, 'what waited was a handful of rows')
  assert.ok(gateway.lines.some((line) => /warn spend: .* cents wait for the database/.test(line)))
})

test('spend outage: with fail_closed_on_error calls are refused as documented meanwhile, and only then', async () => {
  const gateway = await start({ enforcement: { fail_closed_on_error: true } })
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ('o', 'organization', '', 1000000)
     ON CONFLICT DO NOTHING`,
  )
  const calls = load(gateway, 'closed')
  await sleep(1000)
  const first = calls.answers.length
  assert.deepEqual(new Set(calls.answers.map(({ status }) => status)), new Set([200]))
  await server.stop()
  // Leases are good for nine seconds; a caller nobody knows needs an answer.
  const stranger = sessionToken(gateway.url, { sub: 'closed-stranger', groups: [] })
  const refused = await call(gateway, stranger)
  await server.restart()
  const begun = performance.now()
  while ((await call(gateway, stranger)).status !== 200) {
    assert.ok(performance.now() - begun < 15_000, 'it never answers again')
    await sleep(50)
  }
  const answers = await calls.stop()
  assert.equal(refused.status, 429)
  const documented = {
    type: 'error',
    error: { type: 'billing_error', message: 'spend limit unavailable · ask finops' },
  }
  const others = [...answers, refused].filter(({ status }) => status !== 200)
  for (const { status, body } of others) {
    assert.deepEqual([status, JSON.parse(body)], [429, documented])
  }
  assert.ok(answers.length > first)
  // And the stranger's one call.
  await settled(database, 'closed', answers.filter(({ status }) => status === 200).length + 1)
})

test('spend outage: two replicas whose network delays, drops, hangs and reorders count each call once', async (t: TestContext) => {
  const random = createRandom()
  t.diagnostic(`seed ${random.seed}`)
  const target = { host: '127.0.0.1', port: server.port }
  const proxies = [await startTcpProxy(t, target), await startTcpProxy(t, target)]
  const gateways = await Promise.all(proxies.map((proxy) => start({}, proxy.through(database.url))))
  const loads = gateways.map((gateway, index) => load(gateway, `net-${index}`))
  const begun = performance.now()
  while (performance.now() - begun < 8000) {
    const proxy = proxies[random.below(2)]
    const kind = random.below(4)
    if (kind === 0) proxy?.cut()
    if (kind === 1) proxy?.delay(() => random.below(400))
    if (kind === 2) proxy?.hang()
    if (kind === 3) await proxy?.refuse()
    await sleep(random.below(800))
    proxy?.delay(null)
    await proxy?.forward()
    await sleep(random.below(200))
  }
  for (const [index, running] of loads.entries()) {
    const answers = await running.stop()
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    await settled(database, `net-${index}`, answers.length)
  }
})
