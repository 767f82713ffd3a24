/**
 * Every row of the recorded table of what calls cost, through a real gateway to the rows of `spend`
 * in PostgreSQL: what the upstream answers, what the client does, and the cents of a fresh principal.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { open, readAll } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { type Behaviour, createFakeUpstream } from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import {
  event,
  messageDelta,
  messageStart,
  messageStop,
  textDelta,
} from '../support/message-events.ts'
import { override } from '../support/rate-book.ts'
import { sessionToken } from '../support/session-token.ts'
import { readTable } from '../support/tsv.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const start = (config: object = {}): Promise<GatewayProcess> =>
  startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: upstream.url,
      config: { admin: {}, ...config },
    },
  )
const [listed, priced] = await Promise.all([
  start(),
  start({
    models: [
      { id: 'x1', upstream_model: { anthropic: 'deployed-x1' } },
      { id: 'x2', upstream_model: { anthropic: 'claude-opus-4-8' } },
      { id: 'x3', upstream_model: { anthropic: 'Deployed-X3' } },
    ],
    pricing: {
      multiplier: 0.85,
      overrides: [
        override('anthropic', 'claude-haiku-4-5', 10),
        override('anthropic', 'x1', 7),
        override('anthropic', 'claude-opus-4-8', 1),
        override('anthropic', 'deployed-x3', 21),
      ],
    },
  }),
])

/** How one row comes about. */
interface Play {
  readonly answer: Behaviour
  readonly count?: Behaviour
  readonly model?: string
  readonly path?: string
  /** Members of the request beside model and max_tokens. */
  readonly ask?: object
  readonly gateway?: GatewayProcess
  /** The client leaves after so many bytes of the answer; -1: before its head. */
  readonly leavesAfter?: number
  /** What it costs with us, where we do better than the reference (B040), in cents. */
  readonly better?: number
}

const counts4200: Behaviour = { body: '{"input_tokens":4200}' }
const stream = { 'content-type': 'text/event-stream' }
const sse = Object.entries(stream).flat()
const events = (...body: NonNullable<Exclude<Behaviour['body'], string>>[number][]): Play => ({
  answer: { headers: sse, body },
  ask: { stream: true },
})
const document = (body: string, count = counts4200): Play => ({ answer: { body }, count })
const usage = (fields: object, model: string, gateway = listed): Play => ({
  answer: { body: JSON.stringify({ type: 'message', content: [], usage: fields }) },
  model,
  gateway,
})
const bare = (length: number): string => JSON.stringify({ a: 'x'.repeat(length) })
const said = (content: string, more: object = {}): object => ({
  ask: { messages: [{ role: 'user', content }], ...more },
})
const input1000 = messageStart({ input_tokens: 1000, output_tokens: 1 })
const whole = [input1000, textDelta('x'), messageDelta({ output_tokens: 500 }), messageStop]
const text100 = textDelta('x'.repeat(100))
const block = (content_block: object): string =>
  event('content_block_start', { type: 'content_block_start', index: 0, content_block })
// With its key `{"messages":…,"system":…,` and this, 8129 characters are 2033 tokens.
const tools = [{ name: 'tool', input_schema: { type: 'object' }, description: 'd' }]
const long = { input_tokens: 250_000 }
const writes = (ephemeral_1h_input_tokens: number): object => ({
  cache_creation_input_tokens: 100_000,
  cache_creation: { ephemeral_1h_input_tokens },
})

const plays: Readonly<Record<string, Play>> = {
  'haiku-5-5 long in': usage(long, 'claude-haiku-5-5'),
  'haiku-5-5 long out': usage({ ...long, output_tokens: 100_000 }, 'claude-haiku-5-5'),
  'haiku-5-5 long w5': usage({ ...long, ...writes(0) }, 'claude-haiku-5-5'),
  'haiku-5-5 long w1': usage({ ...long, ...writes(100_000) }, 'claude-haiku-5-5'),
  'haiku-5-5 long cr': usage({ ...long, cache_read_input_tokens: 100_000 }, 'claude-haiku-5-5'),
  'haiku-5-5 long cw_only': usage({ cache_creation_input_tokens: 250_000 }, 'claude-haiku-5-5'),
  'haiku-5-5 long cr_only': usage({ cache_read_input_tokens: 250_000 }, 'claude-haiku-5-5'),
  'nonstream non-JSON 100 bytes': document('n'.repeat(100)),
  'nonstream empty body': document(''),
  'nonstream usage {}': document('{"usage":{}}'),
  'nonstream no usage, big request 4000 chars': {
    ...document(bare(400)),
    ...said('x'.repeat(4000)),
  },
  'stream 10x1 char': events(...Array.from({ length: 10 }, () => textDelta('x')), messageStop),
  'stream 4x3 char': events(...Array.from({ length: 4 }, () => textDelta('xxx')), messageStop),
  'stream idx 10, 4 chars': events(textDelta('xxxx', 10), messageStop),
  'stream content_block_start only with tool name': events(
    block({ type: 'tool_use', id: 't', name: 'x'.repeat(400), input: {} }),
  ),
  'stream start text in content_block_start 400': events(
    block({ type: 'text', text: 'x'.repeat(400) }),
  ),
  'stream escapes: 100 newlines': events(textDelta('\n'.repeat(100))),
  'stream no start, delta w/ usage out 100 only': events(messageDelta({ output_tokens: 100 })),
  // The table does not say what was sent; it were 401 to 404 characters.
  'stream 0 text + delta usage no output_tokens': events(
    textDelta('x'.repeat(402)),
    messageDelta({}),
  ),
  'stream empty': events(),
  'upstream 400': { answer: { status: 400, body: '{"type":"error"}' } },
  'upstream 429': { answer: { status: 429, body: '{"type":"error"}' } },
  'upstream 500': { answer: { status: 500, body: '{"type":"error"}' } },
  count_tokens: { answer: {}, count: counts4200, path: '/v1/messages/count_tokens' },
  'client abort mid stream (in 1000, ~6x100 chars)': {
    ...events(input1000, ...Array.from({ length: 6 }, () => text100), { ending: 'stall' }),
    leavesAfter: input1000.length + 6 * text100.length,
  },
  'client abort before headers': { answer: { fault: 'stall-before-head' }, leavesAfter: -1 },
  'upstream cut mid stream (in 1000, 100 chars)': events(input1000, text100, { ending: 'reset' }),
  'gzip stream': {
    answer: { headers: sse, body: whole.join(''), encoding: 'gzip' },
    ask: { stream: true },
  },
  'gzip nonstream in1000 out500': {
    answer: {
      body: JSON.stringify({ usage: { input_tokens: 1000, output_tokens: 500 } }),
      encoding: 'gzip',
    },
  },
  'nonstream no usage (count answers 4200)': document(bare(1)),
  'nonstream no usage (count 500)': {
    ...document(bare(1), { status: 500, body: '{}' }),
    ...said('hi'),
  },
  'nonstream no usage (count 404), 400-char request': {
    ...document(bare(1), { status: 404, body: '{}' }),
    ...said('x'.repeat(400)),
  },
  'same, 4000-char': {
    ...document(bare(1), { status: 404, body: '{}' }),
    ...said('x'.repeat(4000)),
  },
  'same with system 4000 + tools': {
    ...document(bare(1), { status: 404, body: '{}' }),
    ...said('x'.repeat(4000), { system: 'x'.repeat(4000), tools }),
  },
  // The reference bills nothing then; we wait for five seconds, and estimate.
  'nonstream no usage (count hang)': {
    ...document(bare(1), { fault: 'stall-before-head' }),
    ...said('hi'),
    better: 0.0081,
  },
  'count body w/o input_tokens, 4000': {
    ...document(bare(1), { body: '{}' }),
    ...said('x'.repeat(4000)),
  },
  'stream without message_start, text 400': events(textDelta('x'.repeat(400)), messageStop),
  'stream message_start no usage': events(messageStart(), textDelta('x'.repeat(400)), messageStop),
  'client abort before headers (nonstream)': {
    answer: { fault: 'stall-before-head' },
    leavesAfter: -1,
  },
  'client abort before headers (stream)': {
    answer: { fault: 'stall-before-head' },
    ask: { stream: true },
    leavesAfter: -1,
  },
  'client abort mid nonstream body': {
    answer: {
      headers: ['content-type', 'application/json'],
      body: [`{"a":"${'x'.repeat(402)}`, { ending: 'stall' }],
    },
    count: counts4200,
    leavesAfter: 408,
  },
  'sonnet stream=false but SSE reply': { answer: { headers: sse, body: whole } },
}

/** The rows whose names say it all. */
function playOf(name: string): Play | undefined {
  const play = plays[name]
  if (play !== undefined) return play
  const length = /^nonstream no usage body bytes exactly .* len (\d+)$/.exec(name)?.[1]
  if (length !== undefined) return document(bare(Number(length)))
  const [, model, fields] = /^pricing\(0\.85\): (\S+) (\{.*\})$/.exec(name) ?? []
  if (model !== undefined && fields !== undefined) return usage(JSON.parse(fields), model, priced)
  const [, input, other = 'input_tokens', count] =
    /^haiku-5-5 in (\d+)(?: (\w+) (\d+))?$/.exec(name) ?? []
  if (input === undefined) return undefined
  const field = other === 'cache_read' ? 'cache_read_input_tokens' : other
  return usage({ input_tokens: Number(input), [field]: Number(count ?? input) }, 'claude-haiku-5-5')
}

/** Plays one row; resolves with the status the client saw, null when it left or was cut off. */
async function perform(play: Play, sub: string): Promise<number | null> {
  const { gateway = listed, path = '/v1/messages', model = 'claude-sonnet-4-6', leavesAfter } = play
  upstream.always(({ url }) => (url.includes('count_tokens') ? (play.count ?? {}) : play.answer))
  const ask = { model, max_tokens: 10, messages: [{ role: 'user', content: 'hi' }], ...play.ask }
  const { request, head } = open(`${gateway.url}${path}`, {
    token: sessionToken(gateway.url, { sub }),
    body: JSON.stringify(ask),
  })
  if (leavesAfter === -1) {
    head.catch(() => {}) // it leaves, so there is none
    const arrived = upstream.requests.length
    while (upstream.requests.length === arrived) await sleep(5)
    request.destroy()
    return null
  }
  const response = await head
  if (leavesAfter === undefined) {
    await readAll(response)
    return response.statusCode ?? null
  }
  let bytes = 0
  for await (const chunk of response) {
    bytes += Buffer.from(chunk).length
    if (bytes >= leavesAfter) break
  }
  request.destroy()
  return response.statusCode ?? null
}

test('spend semantics: every recorded row comes out in PostgreSQL as it was measured', async (t) => {
  const rows = readTable('spend/spend-semantics.tsv')
  const expected = new Map<string, { name: string; cents: number }>()
  const wrong: string[] = []
  for (const [index, row] of rows.entries()) {
    const name = row['case (claude-sonnet-4-6 unless named; fresh principal)'] ?? ''
    const play = playOf(name)
    assert.ok(play !== undefined, `nobody plays "${name}"`)
    const sub = `row-${index}`
    const seen = upstream.requests.length
    const status = await perform(play, sub)
    const { gateway = listed } = play
    await gateway.audit('inference', (line) => line['sub'] === sub)
    if (/^\d+$/.test(row['status'] ?? '') && status !== Number(row['status'])) {
      wrong.push(`${name}: status ${status}, not ${row['status']}`)
    }
    const paths = upstream.requests.slice(seen).map(({ url }) => url)
    const recorded = row['upstream_paths_called'] ?? ''
    if (recorded !== '' && paths.join() !== recorded) wrong.push(`${name}: ${paths.join()}`)
    expected.set(sub, { name, cents: play.better ?? Number(row['cents']) })
  }
  t.diagnostic(`${expected.size} rows`)
  const drained = [listed, priced].map(async (gateway) => {
    gateway.kill('SIGTERM')
    await gateway.exited
  })
  await Promise.all(drained)
  for (const [sub, { name, cents }] of expected) {
    const found = await database.query('SELECT cents FROM spend WHERE principal = $1', [sub])
    const sums = found.map((row) => Number(row['cents']))
    // The recorded figures carry the error of sums in doubles.
    const isRight = sums.every((sum) => Math.abs(sum - cents) <= cents * 1e-12)
    if (!isRight || (sums.length !== 3 && cents > 0))
      wrong.push(`${name}: ${sums.join()}, not ${cents}`)
  }
  assert.deepEqual(wrong, [])
})
