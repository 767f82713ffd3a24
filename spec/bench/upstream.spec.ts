import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { join } from 'node:path'
import { startChild } from '../../bench/child.ts'
import type { Child } from '../../bench/child.ts'
import { buildRequest, createReply, placeNonce } from '../../bench/reply.ts'
import type { Script } from '../../bench/reply.ts'

const script: Script = {
  provider: 'anthropic',
  kind: 'stream',
  events: 8,
  gapMs: 0,
  chunks: 'each',
  together: 0,
}
const bedrock: Script = { ...script, provider: 'bedrock' }
const bedrockPath = '/model/us.anthropic.claude-sonnet-4-6/invoke-with-response-stream'
const signed = { authorization: 'AWS4-HMAC-SHA256 Credential=AKIA/20261127/us-east-1/bedrock' }

let upstream: Child
before(async () => {
  const path = join(import.meta.dirname, '..', '..', 'bench', 'upstream.ts')
  upstream = await startChild(path, ['0'], process.execArgv)
})
after(() => upstream.stop())

async function ask(path: string, nonce: string, headers: Record<string, string> = {}) {
  const { head, tail } = buildRequest(500, true)
  const body = placeNonce(head, nonce) + tail.toString()
  const url = `http://127.0.0.1:${upstream.port}${path}`
  return fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(20_000) })
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer())
}

test('bench upstream: replies as its script says, with the nonce of the request, and counts', async () => {
  await upstream.ask({ kind: 'script', script })
  const anthropic = await ask('/v1/messages?beta=true', 'deadbeef')
  assert.match(anthropic.headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.deepEqual(await bytesOf(anthropic), Buffer.concat(createReply(script)('deadbeef')))
  assert.equal(await upstream.ask({ kind: 'served' }), 1)

  await upstream.ask({ kind: 'script', script: bedrock })
  assert.equal(await upstream.ask({ kind: 'served' }), 0)
  // The second is what the floor passes on.
  for (const path of [bedrockPath, '/v1/messages?beta=true']) {
    const response = await ask(path, '12345678', signed)
    assert.equal(response.headers.get('content-type'), 'application/vnd.amazon.eventstream')
    assert.deepEqual(await bytesOf(response), Buffer.concat(createReply(bedrock)('12345678')))
  }
  assert.equal(await upstream.ask({ kind: 'served' }), 2)
})

test('bench upstream: what no gateway should send there is refused and not counted', async () => {
  await upstream.ask({ kind: 'script', script: bedrock })
  assert.equal((await ask(bedrockPath, 'deadbeef')).status, 400)
  assert.equal((await ask(bedrockPath.replace(/-with.*/, ''), 'deadbeef', signed)).status, 400)
  assert.equal((await ask('/v2/messages', 'deadbeef', signed)).status, 400)
  await upstream.ask({ kind: 'script', script })
  assert.equal((await ask(bedrockPath, 'deadbeef', signed)).status, 400)
  const url = `http://127.0.0.1:${upstream.port}/v1/messages`
  assert.equal((await fetch(url, { method: 'POST', body: '{"model":"m"}' })).status, 400)
  assert.equal(await upstream.ask({ kind: 'served' }), 0)
})

test('bench upstream: streams that belong together do not end before all are open', async () => {
  const together: Script = { ...script, gapMs: 5, together: 2 }
  await upstream.ask({ kind: 'script', script: together })
  const first = await ask('/v1/messages', '00000001')
  let isOver = false
  const firstBytes = bytesOf(first).finally(() => (isOver = true))
  // Several times what its eight events need.
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.equal(isOver, false)
  const second = await bytesOf(await ask('/v1/messages', '00000002'))
  assert.deepEqual(await firstBytes, Buffer.concat(createReply(together)('00000001')))
  assert.deepEqual(second, Buffer.concat(createReply(together)('00000002')))
})
