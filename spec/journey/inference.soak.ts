/**
 * A hundred thousand streams (`GATEWAY_SOAK_STREAMS` for fewer) through the real gateway process,
 * Anthropic and Bedrock behind it: clients that leave at any moment, that read slowly or reset;
 * upstreams that refuse, reset, cut, corrupt or go away. Nothing hangs, every request is audited
 * exactly once, nothing stays open, and the memory is what it was.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDatabase } from '../support/database.ts'
import { messageFrames } from '../support/event-frames.ts'
import { type Behaviour, createFakeUpstream, messageEvents } from '../support/fake-upstream.ts'
import { collectGarbage } from '../support/garbage.ts'
import { freePort, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createRandom } from '../support/random.ts'
import { sessionToken } from '../support/session-token.ts'

const full = 100_000
const total = Number(process.env['GATEWAY_SOAK_STREAMS'] ?? full)
/**
 * Measured every 5,000 streams up to 80,000: resident memory rises in steps, from 132 to 150 MB,
 * and stays from the 40,000th on. Before that it says nothing about leaks, so a short run leaves
 * the memory out.
 */
const warmUp = total < full ? 1_000 : 40_000
/** Far more than a core, far less than the admission's bound. */
const atOnce = 60
/** The slowest stream waits a few hundred milliseconds; two busy cores make it seconds. */
const hangMs = 60_000

const database = await createDatabase()
const identities = await startIdentityProvider({ after })
const anthropic = await createFakeUpstream()
const bedrock = await createFakeUpstream()
after(() => Promise.all([anthropic.close(), bedrock.close()]))
const inspector = await freePort()
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: identities.issuer,
    environment: {
      CLAUDE_GATEWAY_LOG_LEVEL: 'info',
      NODE_OPTIONS: `--inspect=127.0.0.1:${inspector}`,
    },
    config: {
      upstreams: [
        {
          provider: 'anthropic',
          base_url: anthropic.url,
          groups: ['anthropic'],
          auth: { api_key: 'sk-1' },
        },
        {
          provider: 'bedrock',
          region: 'us-east-1',
          base_url: bedrock.url,
          auth: { aws_access_key_id: 'AKID', aws_secret_access_key: 's' },
        },
      ],
    },
  },
)

const random = createRandom()
const events = messageEvents('Hello wörld, '.repeat(40), 20)
const frames = messageFrames('Hello wörld, '.repeat(40))
const eventStream = ['content-type', 'application/vnd.amazon.eventstream']

/** Mostly a whole stream, paced or not; else one of the ways in which upstreams fail. */
function misbehave(body: readonly (string | Uint8Array)[], headers?: readonly string[]): Behaviour {
  const head = headers === undefined ? {} : { headers }
  const some = body.slice(0, 1 + random.below(body.length - 1))
  if (random.chance(60)) return { ...head, body }
  return random.pick<Behaviour>([
    { ...head, body: body.flatMap((part) => [part, { waitMs: random.below(3) }]) },
    { ...head, body: [...some, { ending: 'reset' }] },
    { ...head, body: some },
    { ...head, body: [...some, 'garbage that is no event'] },
    { ...head, body: [] },
    { fault: 'reset-before-head' },
    { status: random.pick([400, 401, 429, 500, 503, 529]), body: '{"message":"no"}' },
    { ...head, headAfterMs: random.below(30), body },
  ])
}
anthropic.always(() => misbehave(events))
bedrock.always(() => misbehave(frames, eventStream))

const tokens = ['anthropic', 'other'].map((group) =>
  sessionToken(gateway.url, { groups: [group], sub: `u-${group}` }),
)
const body = JSON.stringify({
  model: 'claude-sonnet-4-6',
  max_tokens: 100,
  stream: true,
  messages: [{ role: 'user', content: 'x'.repeat(300) }],
})
const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
after(() => agent.destroy())

/** How one client behaves. What it leaves behind is the gateway's affair. */
type Manner = 'reads' | 'reads slowly' | 'leaves early' | 'leaves in the middle' | 'resets'
const outcomes = new Map<string, number>()

async function oneStream(token: string | undefined): Promise<void> {
  const manner: Manner = random.chance(60)
    ? 'reads'
    : random.pick<Manner>(['reads slowly', 'leaves early', 'leaves in the middle', 'resets'])
  const sent = request(`${gateway.url}/v1/messages?beta=true`, {
    method: 'POST',
    agent,
    headers: { authorization: `Bearer ${token}`, 'content-length': Buffer.byteLength(body) },
  })
  const ended = new Promise<string>((resolve) => {
    sent.on('error', () => resolve('cut'))
    sent.on('close', () => resolve('closed'))
    sent.on('response', (response) => void read(response, manner).then(resolve))
  })
  sent.end(body)
  // The request must be whole before its client leaves, or there is nothing to audit.
  if (manner === 'leaves early') {
    await once(sent, 'finish').catch(() => {})
    await sleep(random.below(10))
    sent.destroy()
  }
  const outcome = await Promise.race([ended, sleep(hangMs, 'hangs', { ref: false })])
  outcomes.set(`${manner}: ${outcome}`, (outcomes.get(`${manner}: ${outcome}`) ?? 0) + 1)
  assert.notEqual(outcome, 'hangs', `a client that ${manner} waited ${hangMs} ms`)
}

async function read(response: IncomingMessage, manner: Manner): Promise<string> {
  try {
    let chunks = 0
    for await (const _ of response) {
      chunks++
      if (manner === 'reads slowly') await sleep(random.below(20))
      if (manner === 'leaves in the middle' && chunks > random.below(4)) return leave(response)
      if (manner === 'resets') {
        response.socket.resetAndDestroy()
        return 'left'
      }
    }
    return `status ${response.statusCode}`
  } catch {
    return 'cut'
  }
}

function leave(response: IncomingMessage): string {
  response.destroy()
  return 'left'
}

async function run(count: number): Promise<void> {
  let left = count
  const client = async (): Promise<void> => {
    while (left-- > 0) await oneStream(tokens[random.below(tokens.length)])
  }
  await Promise.all(Array.from({ length: atOnce }, client))
}

/**
 * After a collection: without one, a hundred megabytes more or less are only V8's decision when to
 * tidy up, and a leak of a few hundred bytes a stream would not show beside them.
 */
async function residentKib(): Promise<number> {
  await collectGarbage(inspector)
  const status = readFileSync(`/proc/${gateway.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1])
}

/** The audit lines there will be, once the last have come: the count that a second leaves as it is. */
async function settled(): Promise<readonly Record<string, unknown>[]> {
  const deadline = Date.now() + 30_000
  let before = -1
  while (Date.now() < deadline) {
    const now = gateway.lines.length
    if (now === before && anthropic.open + bedrock.open === 0) break
    before = now
    await sleep(1_000)
  }
  return gateway.audits('inference')
}

test(`soak: ${total} streams with every kind of trouble leave nothing behind`, async (t) => {
  await run(warmUp)
  await settled()
  const before = await residentKib()
  const started = Date.now()
  await run(total)
  const audits = await settled()
  const after = await residentKib()

  t.diagnostic(`seed ${random.seed}, ${((Date.now() - started) / 1000).toFixed(0)} s`)
  t.diagnostic(`resident ${before} → ${after} KiB`)
  for (const [outcome, count] of outcomes) t.diagnostic(`${outcome}: ${count}`)
  const words = Map.groupBy(audits, (line) => String(line['outcome']))
  for (const [word, lines] of words) t.diagnostic(`audited ${word}: ${lines.length}`)

  assert.equal(audits.length, warmUp + total, 'one audit line a request')
  const ids = new Set(audits.map((line) => line['request_id']))
  assert.equal(ids.size, audits.length, 'no request is audited twice')
  assert.equal(anthropic.open + bedrock.open, 0, 'no upstream stream stays open')
  const bugs = gateway.lines.filter((line) => /unhandled|uncaught|TypeError|RangeError/i.test(line))
  assert.deepEqual(bugs, [])
  if (total < full) return
  assert.ok(after <= before * 1.1, `resident memory grew from ${before} to ${after} KiB`)
})
