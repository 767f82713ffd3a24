/** Whom a running gateway talks to: everything it connects to or looks up, seen from inside it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { messageFrames } from '../support/event-frames.ts'
import { createFakeUpstream, messageJson } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const folder = mkdtempSync(join(tmpdir(), 'gateway-destinations-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const seenPath = join(folder, 'seen')
const preload = join(folder, 'watch.mjs')
writeFileSync(seenPath, '')
/** Below every library: sockets of tls, undici and pg are these, and names go through these. */
writeFileSync(
  preload,
  `import { appendFileSync } from 'node:fs'
   import dns from 'node:dns'
   import net from 'node:net'
   import { syncBuiltinESMExports } from 'node:module'
   const note = (text) => appendFileSync(${JSON.stringify(seenPath)}, text + '\\n')
   const connect = net.Socket.prototype.connect
   net.Socket.prototype.connect = function (...args) {
     const [first] = Array.isArray(args[0]) ? args[0] : args
     if (typeof first === 'object') note('connect ' + (first.path ?? first.host + ':' + first.port))
     else note('connect ' + args[1] + ':' + first)
     return connect.apply(this, args)
   }
   for (const owner of [dns, dns.promises]) {
     for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6']) {
       const own = owner[name]
       owner[name] = function (host, ...rest) {
         note('look up ' + host)
         return own.call(this, host, ...rest)
       }
     }
   }
   syncBuiltinESMExports()`,
)

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const bedrock = await createFakeUpstream()
const collector = await createFakeUpstream()
after(() => Promise.all([bedrock.close(), collector.close()]))

test('destinations: without an anthropic upstream nothing goes to Anthropic, or to anybody the file does not name (F344)', async (t) => {
  const auth = { aws_access_key_id: 'AKID', aws_secret_access_key: 'the-secret' }
  const gateway = await startGateway(t, {
    postgresUrl: database.url,
    issuer: provider.issuer,
    environment: { NODE_OPTIONS: `--import=${preload}` },
    config: {
      upstreams: [{ provider: 'bedrock', region: 'us-east-1', base_url: bedrock.url, auth }],
      telemetry: { forward_to: [{ url: collector.url }] },
      managed: { policies: [{ cli: {}, desktop: {} }] },
      admin: {},
    },
  })
  const token = sessionToken(gateway.url)
  const ask = (stream: boolean) => ({
    token,
    body: JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 5, messages: [], stream }),
  })
  bedrock.next({ body: messageJson('Hello') })
  assert.equal((await send(`${gateway.url}/v1/messages`, ask(false))).status, 200)
  bedrock.next({
    headers: ['content-type', 'application/vnd.amazon.eventstream'],
    body: messageFrames('Hello'),
  })
  assert.equal((await send(`${gateway.url}/v1/messages`, ask(true))).status, 200)
  await send(`${gateway.url}/v1/metrics`, { token, body: 'report' })
  await collector.request(0)
  for (const path of ['/managed/settings', '/user/bootstrap', '/v1/models', '/api/oauth/usage']) {
    assert.equal((await send(`${gateway.url}${path}`, { token })).status, 200, path)
  }
  const begun = await send(`${gateway.url}/oauth/device_authorization`, {
    method: 'POST',
    body: 'client_id=claude-code',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  assert.equal(begun.status, 200)
  gateway.reconfigure({ limits: { max_url_length: 4000 } })
  gateway.kill('SIGHUP')
  await gateway.line(/ reload \(SIGHUP\): in use now/)
  gateway.kill('SIGTERM')
  assert.equal(await gateway.exited, 0)

  const seen = [...new Set(readFileSync(seenPath, 'utf8').trim().split('\n'))]
  const named = [database.url, provider.issuer, bedrock.url, collector.url].map((url) => {
    const { port } = new URL(url)
    return port
  })
  const connected = seen.flatMap((line) => /^connect (.+)$/.exec(line)?.[1] ?? [])
  assert.deepEqual(
    new Set(connected.map((to) => to.split(':').at(-1))),
    new Set(named),
    connected.join('\n'),
  )
  for (const to of connected) assert.match(to, /^(127\.0\.0\.1|::1|localhost):\d+$/)
  const names = seen.flatMap((line) => /^look up (.+)$/.exec(line)?.[1] ?? [])
  for (const name of names) assert.match(name, /^(localhost|127\.0\.0\.1|::1)$/)
})
