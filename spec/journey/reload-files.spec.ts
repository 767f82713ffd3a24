/** What a running gateway makes of its files coming, going and being swapped; what outlives that. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientReply, open, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageEvents, messageJson } from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionSecret, sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
upstream.always({ body: messageJson('Hello') })
after(() => upstream.close())
const folder = mkdtempSync(join(tmpdir(), 'gateway-reload-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const start = (t: { after(action: () => Promise<void> | void): void }, config: object = {}) =>
  startGateway(t, {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { ...config },
  })
const keyedBy = (file: string) => ({
  upstreams: [
    { provider: 'anthropic', base_url: upstream.url, auth: { api_key: `\${file:${file}}` } },
  ],
})
const policies = (...models: string[]) => ({
  managed: { policies: [{ cli: { availableModels: models } }] },
})
/** `metadata` tells the calls of one gateway from those of the others. */
const message = (gateway: GatewayProcess, stream: boolean) =>
  JSON.stringify({
    model: 'claude-sonnet-4-6',
    max_tokens: 5,
    messages: [],
    stream,
    metadata: { user_id: gateway.url },
  })
const call = (gateway: GatewayProcess) =>
  send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: message(gateway, false),
  })
const keySent = async (gateway: GatewayProcess) => {
  assert.equal((await call(gateway)).status, 200)
  const sent = upstream.requests.findLast(({ body }) => body.includes(gateway.url))
  return sent?.headers['x-api-key']
}
const count = (gateway: GatewayProcess, pattern: RegExp) =>
  gateway.lines.filter((line) => pattern.test(line)).length

/** Until so many lines match; a reload by itself takes two looks of two seconds. */
async function lines(gateway: GatewayProcess, pattern: RegExp, wanted: number): Promise<void> {
  for (let turn = 0; turn < 1000 && count(gateway, pattern) < wanted; turn++) await sleep(20)
  assert.equal(count(gateway, pattern), wanted, gateway.lines.slice(-40).join('\n'))
}

const inUse = / info reload \(.*\): in use now/
const kept = / error reload \(.*\): the old configuration stays in use/

function post(url: string, form: Record<string, string>): Promise<ClientReply> {
  return send(url, {
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
}

/** Beside each other, because what they do is wait; more at once would start too many processes. */
suite('reload files', { concurrency: 4 }, () => {
  test('reload files: a secret that is missing for a while is taken when it is there again', async (t) => {
    const secret = join(folder, 'late')
    writeFileSync(secret, 'sk-one')
    const gateway = await start(t, keyedBy(secret))
    assert.equal(await keySent(gateway), 'sk-one')
    rmSync(secret)
    await lines(gateway, kept, 1)
    assert.equal(await keySent(gateway), 'sk-one')
    writeFileSync(secret, 'sk-two')
    await lines(gateway, inUse, 1)
    assert.equal(await keySent(gateway), 'sk-two')
  })

  test('reload files: a configuration that is missing for a while is taken when it is there again', async (t) => {
    const gateway = await start(t, policies('haiku'))
    rmSync(gateway.configPath)
    await lines(gateway, kept, 1)
    assert.equal((await call(gateway)).status, 400)
    gateway.reconfigure(policies('sonnet'))
    await lines(gateway, inUse, 1)
    assert.equal((await call(gateway)).status, 200)
  })

  test('reload files: a file that stays wrong is complained of once, not at every look', async (t) => {
    const secret = join(folder, 'wrong')
    writeFileSync(secret, 'sk-one')
    const gateway = await start(t, keyedBy(secret))
    // More than any configuration may have: it is watched without being read.
    writeFileSync(secret, Buffer.alloc(5 * 1024 * 1024, 'x'))
    await lines(gateway, kept, 1)
    await sleep(7000) // three looks more
    assert.equal(count(gateway, kept), 1)
    writeFileSync(secret, 'sk-two')
    await lines(gateway, inUse, 1)
    assert.equal(await keySent(gateway), 'sk-two')
  })

  test('reload files: folders swapped by a symbolic link, as for a ConfigMap, are noticed', async (t) => {
    const mount = mkdtempSync(join(folder, 'mount-'))
    const publish = (version: string, files: Readonly<Record<string, string>>): void => {
      mkdirSync(join(mount, version))
      for (const [name, text] of Object.entries(files)) {
        writeFileSync(join(mount, version, name), text)
      }
      symlinkSync(version, join(mount, '..next'))
      renameSync(join(mount, '..next'), join(mount, '..data'))
    }
    publish('..one', { key: 'sk-one' })
    symlinkSync('..data/key', join(mount, 'key'))
    const gateway = await start(t, keyedBy(join(mount, 'key')))
    const original = readFileSync(gateway.configPath, 'utf8')
    publish('..two', { key: 'sk-one', 'gateway.yaml': original })
    rmSync(gateway.configPath)
    symlinkSync(join(mount, '..data', 'gateway.yaml'), gateway.configPath)
    const changed = JSON.stringify({ ...JSON.parse(original), ...policies('sonnet') })
    publish('..three', { key: 'sk-three', 'gateway.yaml': changed })
    await gateway.line(/ info reload \(a file has changed\): in use now, changed: .*managed/)
    assert.equal(await keySent(gateway), 'sk-three')
  })

  test('reload files: a configuration out of a pipe is not waited for, and calls go on', async (t) => {
    const gateway = await start(t)
    rmSync(gateway.configPath)
    execFileSync('mkfifo', [gateway.configPath])
    gateway.kill('SIGHUP')
    await lines(gateway, kept, 1)
    assert.equal((await call(gateway)).status, 200)
  })

  test('reload: a device sign-in under way survives it at every step, a rotated secret included', async (t) => {
    const gateway = await start(t, policies('haiku'))
    const { url } = gateway
    const begun = await post(`${url}/oauth/device_authorization`, { surface: 'claude_code' })
    const { device_code, user_code } = JSON.parse(begun.body)
    const next = 'fedcba9876543210fedcba9876543210fedcba9876543210'
    let swaps = 0
    const swap = async (...models: string[]): Promise<void> => {
      swaps += 1
      gateway.reconfigure({
        ...policies(...models),
        session: { jwt_secret: [next, sessionSecret] },
      })
      gateway.kill('SIGHUP')
      await lines(gateway, inUse, swaps)
    }
    const browser = createHeadlessBrowser()
    await browser.fetch(`${url}/device?user_code=${user_code}`)
    const reply = await browser.post(`${url}/device`, { user_code })
    await swap('sonnet')
    const back = await browser.follow(reply.headers.get('location') ?? '', `${url}/oauth/callback`)
    await swap('opus')
    assert.match(await (await browser.fetch(back.url)).text(), /You are signed in/)
    await swap('sonnet', 'opus')
    const { status, body } = await post(`${url}/oauth/token`, {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code,
    })
    assert.equal(status, 200, body)
    const token = String(JSON.parse(body).access_token)
    assert.equal((await send(`${url}/v1/models`, { token })).status, 200)
  })

  test('reload: every replaced configuration ends, also where clients left in the middle', async (t) => {
    const slow = await createFakeUpstream()
    t.after(() => slow.close())
    const auth = { api_key: 'k' }
    const gateway = await start(t, {
      upstreams: [{ provider: 'anthropic', base_url: slow.url, auth }],
    })
    const [head = '', ...events] = messageEvents('one two three')
    for (let round = 1; round <= 5; round++) {
      slow.next({
        headers: ['content-type', 'text/event-stream'],
        body: [head, { waitMs: 30_000 }, ...events],
      })
      const { request, head: reply } = open(`${gateway.url}/v1/messages`, {
        token: sessionToken(gateway.url),
        body: message(gateway, true),
      })
      const response = await reply
      response.on('error', () => {}) // it is cut on purpose
      gateway.reconfigure(policies('sonnet', `x${round}`))
      gateway.kill('SIGHUP')
      await lines(gateway, inUse, round)
      assert.equal(count(gateway, /the old configuration is gone/), round - 1)
      request.destroy()
      await lines(gateway, / info reload: the old configuration is gone/, round)
    }
  })
})
