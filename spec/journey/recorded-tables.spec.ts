/**
 * Tables of what the reference was seen to answer, every row replayed through the real gateway:
 * which model a provider is asked for, and what of a provider's refusal a client reads.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type ClientReply, send } from '../support/client.ts'
import { startEveryProvider } from '../support/every-provider.ts'
import { messageJson, type RecordedRequest } from '../support/fake-upstream.ts'
import { sessionToken } from '../support/session-token.ts'
import { readTable, writeOut } from '../support/tsv.ts'

const { gateway, server } = await startEveryProvider(after)

function post(provider: string, path: string, model: string): Promise<ClientReply> {
  const token = sessionToken(gateway.url, { groups: [provider] })
  const body = JSON.stringify({ model, max_tokens: 9, messages: [] })
  return send(`${gateway.url}${path}`, { token, body })
}

/** `status type: message` of a refusal. */
function refusal({ status, body }: ClientReply): string {
  const { error } = JSON.parse(body)
  return `${status} ${error.type}: ${error.message}`
}

const models = readTable('catalogue/models.tsv')
for (const provider of ['anthropic', 'anthropicAws', 'bedrock', 'foundry', 'vertex']) {
  test(`recorded: ${provider} is asked for 130 models as the reference asks, and counts them so (F153 F378)`, async () => {
    const rows = models.filter((row) => row['provider'] === provider)
    assert.equal(rows.length, 130)
    const upstream = server(provider)
    upstream.always(({ url }) => ({
      body: /count[-_]tokens/.test(url)
        ? '{"input_tokens":1,"inputTokens":1}'
        : messageJson('Hello'),
    }))
    for (const row of rows) {
      const sent = sentModel(row['model_sent'] ?? '')
      const from = upstream.requests.length
      const reply = await post(provider, '/v1/messages', sent)
      const count = await post(provider, '/v1/messages/count_tokens', sent)
      const asked = upstream.requests.slice(from)
      if (row['status'] === '200') {
        const { upstream_path_model: inPath, upstream_body_model: inBody } = row
        assert.deepEqual([reply.status, count.status, asked.length], [200, 200, 2], sent)
        assert.deepEqual(asked.map(modelOf), [inPath || inBody, row['count_tokens_model']])
      } else {
        assert.equal(asked.length, 0, sent)
        assert.equal(refusal(reply), `${row['status']} ${row['error']}`)
        assert.equal(refusal(count), refusal(reply))
      }
    }
  })
}

/** The table writes a NUL as its escape, and keeps 90 characters of the longest. */
function sentModel(cell: string): string {
  return cell.replace(String.raw`\u0000`, '\0').replace('x'.repeat(90), 'x'.repeat(300))
}

/** As the request names it: in its address, or else in its body. */
function modelOf({ url, body }: RecordedRequest): string {
  const inPath = /\/model\/([^/]+)\//.exec(url) ?? /\/models\/([^/:]+):\w*rawPredict$/i.exec(url)
  const named = inPath?.[1] ?? 'count-tokens'
  // Bedrock's count is asked for with the colon escaped, and so the table has it.
  return named === 'count-tokens' ? JSON.parse(body.toString()).model : named
}

test('recorded: of 430 refusals a client reads what the reference lets it read (F171 F173 F174 F175 F381 F382)', async () => {
  const wrong: string[] = []
  let replayed = 0
  for (const row of readTable('upstream/errors.tsv')) {
    const { providers = '', upstream_body: text = '', path = '' } = row
    // What is counted is the upstreams in the file: one there, seven here.
    const message = writeOut(row['client_message'] ?? '').replace('(1 attempted)', '(7 attempted)')
    const expected = `${row['client_status']} ${row['client_type']}: ${message}`
    for (const provider of providersOf(providers)) {
      server(provider).always({
        status: Number(row['upstream_status']),
        headers: ['content-type', 'application/json'],
        body: writeOut(text),
      })
      const reply = await post(provider, path, 'claude-sonnet-4-6')
      // The table writes a line feed as its escape.
      const found = refusal(reply).replaceAll('\n', String.raw`\n`)
      if (found !== expected) wrong.push(`${provider} ${row['upstream_status']} ${text}: ${found}`)
      replayed++
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(replayed > 850, String(replayed))
})

function providersOf(names: string): readonly string[] {
  return names === 'all four' ? ['bedrock', 'vertex', 'foundry', 'anthropicAws'] : names.split(',')
}
