/**
 * What the reference did for every status and fault of its upstreams, in every mix of providers,
 * replayed through the real gateway: who is asked, what the client gets, what the audit says.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { type ClientReply, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { messageFrames } from '../support/event-frames.ts'
import {
  type Behaviour,
  createFakeUpstream,
  messageEvents,
  messageJson,
} from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { readTable } from '../support/tsv.ts'

const database = await createDatabase()
const identities = await startIdentityProvider({ after })
const servers = await Promise.all(Array.from({ length: 3 }, () => createFakeUpstream()))
after(() => Promise.all(servers.map((server) => server.close())))

const kinds: Readonly<Record<string, object>> = {
  a: { provider: 'anthropic', auth: { api_key: 'k' } },
  b: { provider: 'bedrock', region: 'us-east-1', auth: { aws_bearer_token: 'k' } },
  f: { provider: 'foundry', resource: 'res', auth: { api_key: 'k' } },
}
/** Letters are providers in their order; who is in the group of that name is sent to them. */
const mixes = ['aa', 'ab', 'ba', 'bbb', 'fa', 'bf']
const upstreams = mixes.flatMap((mix) =>
  Array.from(mix, (letter, at) => ({
    name: `${mix}-u${at + 1}`,
    base_url: servers[at]?.url,
    groups: [mix],
    ...kinds[letter],
  })),
)
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: identities.issuer,
    config: { upstreams, timeouts: { upstream_ttfb_ms: 1500 } },
  },
)

const own = ['retry-after', '13', 'x-custom-up', '1', 'x-should-retry', 'false']
const json = ['content-type', 'application/json']
const html = '<html>acct 123 bad gateway</html>'

function refusing(status: number): Behaviour {
  const error = { type: `weird_${status}`, message: `up says ${status}` }
  const body = JSON.stringify({ type: 'error', error, request_id: 'req_inner' })
  return { status, headers: [...json, ...own, 'request-id', 'req_up'], body }
}

function answering(letter: string, streams: boolean): Behaviour {
  const headers = ['retry-after', '7', 'x-custom-up', '1', 'x-should-retry', 'true']
  if (!streams) return { headers: [...json, ...headers], body: messageJson('Hello') }
  const type =
    letter === 'b' ? 'application/vnd.amazon.eventstream' : 'text/event-stream; charset=utf-8'
  const body = letter === 'b' ? messageFrames('Hello') : messageEvents('Hello')
  return { headers: ['content-type', type, ...headers], body }
}

function failing(fault: string, letter: string, streams: boolean): Behaviour {
  if (/^\d+$/.test(fault)) return refusing(Number(fault))
  switch (fault) {
    case 'rst':
    case 'reset':
    case 'reset before headers':
      return { fault: 'reset-before-head' }
    case 'hang ttfb1500':
      return { fault: 'stall-before-head' }
    case 'mid-stream reset': {
      const { headers = [], body } = answering(letter, streams)
      const start = Array.isArray(body) ? body.slice(0, 2) : ['{"id":']
      return { headers, body: [...start, { waitMs: 50 }, { ending: 'reset' }] }
    }
    case 'html 400':
    case '400 html':
      return { status: 400, headers: ['content-type', 'text/html'], body: html }
    case 'html 502':
      return { status: 502, headers: ['content-type', 'text/html'], body: html }
    case '200 html':
      return { headers: ['content-type', 'text/html'], body: html }
    case 'empty 400':
      return { status: 400, headers: ['x-a', 'b'], body: '' }
    case '200 empty':
      return { headers: ['x-a', 'b'], body: '' }
    case '204 ':
      return { status: 204, headers: ['x-a', 'b'], body: '' }
    case '302 redirect':
      return { status: 302, headers: ['location', 'http://127.0.0.1:1/'], body: '' }
    default:
      return assert.fail(`what is ${fault}?`)
  }
}

/** What each upstream does, in order; one that is not named answers. */
function faultsOf(name: string, count: number): (string | undefined)[] {
  if (name === 'u1 204') return ['204 ']
  const [, all] = /^(?:both|all)[ =]?(.+)$/.exec(name) ?? []
  if (all !== undefined) return Array.from({ length: count }, () => all)
  const [, first] = /^u1 (.+)$/.exec(name) ?? []
  return first === undefined ? name.replaceAll(/u\db?=/g, '').split(',') : [first]
}

interface Asked {
  /** Null when the connection was cut before the reply was whole. */
  readonly reply: ClientReply | null
  readonly tried: string
  readonly line: Record<string, unknown>
}

async function ask(
  mix: string,
  faults: readonly (string | undefined)[],
  stream: boolean,
): Promise<Asked> {
  const tried: string[] = []
  for (const [at, letter] of Array.from(mix).entries()) {
    const fault = faults[at]
    servers[at]?.always(({ url }) => {
      // The gateway counts by itself what an answer does not say, after the reply.
      if (!/count[-_]tokens/.test(url)) tried.push(`u${at + 1}`)
      return fault === undefined ? answering(letter, stream) : failing(fault, letter, stream)
    })
  }
  const requestId = randomUUID()
  const reply = await send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url, { groups: [mix] }),
    headers: { 'x-client-request-id': requestId },
    body: JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 9, messages: [], stream }),
  }).catch(() => null)
  const line = await gateway.audit('inference', (each) => each['request_id'] === requestId)
  return { reply, tried: tried.join(), line }
}

const upstreamOf = ({ line }: Asked): string =>
  (typeof line['upstream'] === 'string' ? line['upstream'] : '').replace(/.*-/, '')

/** Where this gateway does better than the reference on purpose (spec 03, "better"). */
const better: Readonly<Record<string, (asked: Asked) => void>> = {
  'aa u1 mid-stream reset true': ({ reply, line }) => {
    assert.match(reply?.body ?? '', /event: error\ndata: [^\n]*"upstream error"}}\n\n$/)
    assert.equal(line['outcome'], 'upstream_cut')
  },
  'aa u1 mid-stream reset false': ({ reply, line }) => {
    assert.equal(reply, null)
    assert.equal(line['outcome'], 'upstream_cut')
  },
  // A page of a proxy in between is no message: the next upstream has one.
  'ba u1 200 html false': ({ reply, tried }) => {
    assert.deepEqual([reply?.body, tried], [messageJson('Hello'), 'u1,u2'])
  },
}

test('recorded failover: 276 rows of statuses and faults, in five mixes of providers (F156 F158 F159 F160 F161 F162 F163 F164 F167)', async () => {
  const rows = readTable('upstream/failover.tsv')
  assert.equal(rows.length, 276)
  const betterSeen: string[] = []
  for (const row of rows) {
    const { gateway: mix = '', case: fault = '', stream } = row
    const name = `${mix} ${fault} ${stream}`
    const asked = await ask(mix, faultsOf(fault, mix.length), stream === 'true')
    const check = better[name]
    if (check === undefined) checkRow(row, asked, name)
    else {
      check(asked)
      betterSeen.push(name)
    }
  }
  assert.deepEqual(betterSeen.toSorted(), Object.keys(better).toSorted())
})

function checkRow(row: Readonly<Record<string, string>>, asked: Asked, name: string): void {
  const { reply, tried, line } = asked
  assert.ok(reply !== null, name)
  assert.equal(reply.status, Number(row['client_status']), name)
  assert.equal(tried, row['upstreams_tried'], name)
  assert.equal(upstreamOf(asked), row['audit_upstream'], name)
  assert.equal(line['status'], Number(row['audit_status']), name)
  if (row['client_error_type'] !== '') {
    const { error } = JSON.parse(reply.body)
    assert.equal(error.type, row['client_error_type'], name)
    // How many there are in the file: all mixes in one here.
    assert.equal(
      error.message.replace('(13 a', `(${mixLength(row)} a`),
      row['client_message'],
      name,
    )
  } else if (row['client_message'] === html) assert.equal(reply.body, html, name)
  for (const note of (row['client_headers_of_note'] ?? '').split('; ').filter(Boolean)) {
    const [, header = '', value = ''] = /^([^=]+)=(.*)$/.exec(note) ?? []
    if (header !== '') checkHeader(reply, header.toLowerCase(), value, name)
  }
}

const mixLength = ({ gateway: mix = '' }: Readonly<Record<string, string>>): number => mix.length

function checkHeader({ headers }: ClientReply, header: string, value: string, name: string): void {
  if (header === 'charset') return assert.match(String(headers['content-type']), /; charset=utf-8$/)
  if (header === 'request-id') return assert.equal(headers[header], headers['x-request-id'], name)
  const found = String(headers[header])
  if (header === 'content-type') return assert.equal(found.split(';')[0], value.split(';')[0], name)
  return assert.equal(found, value, name)
}

test('recorded failover: of two failures the client gets the recorded one, in both mixes (F165 F166)', async () => {
  const rows = readTable('upstream/failover-precedence.tsv')
  assert.equal(rows.length, 98)
  for (const { gateway: mix = '', u1 = '', u2 = '', client_status, served_by } of rows) {
    const letters = mix === 'bedrock+foundry' ? 'bf' : 'aa'
    const asked = await ask(letters, [u1, u2], false)
    const name = `${mix} ${u1} ${u2}`
    assert.equal(asked.reply?.status, Number(client_status), name)
    assert.equal(upstreamOf(asked), served_by, name)
    assert.equal(asked.tried, 'u1,u2', name)
  }
})
