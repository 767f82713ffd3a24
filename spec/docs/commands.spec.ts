/**
 * Every command of the pages: each is run, by this spec in a copy of the checkout or by the spec
 * that its mark names, or the mark says what it needs that a test machine has not.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createPrivateKey } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { parseCommandLine } from '../../bin/command-line.ts'
import { openAuditFile } from '../../lib/audit/file.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createCheckout } from '../support/checkout.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { freePort } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { readBlocks } from '../support/markdown.ts'
import { createRecorder } from '../support/recorder.ts'
import { sessionSecret } from '../support/session-token.ts'

const root = join(import.meta.dirname, '..', '..')
const pages = ['.', 'docs', 'deploy', 'bench']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: folder !== '.', encoding: 'utf8' }).map((name) =>
      join(folder, name),
    ),
  )
  .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))

const blocks = pages.flatMap((page) => readBlocks(root, page))
const shell = blocks.filter(({ language }) => language === 'sh')

/** One command each: without comments, continued lines joined. */
const commandsOf = (text: string): string[] =>
  text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')

const checkout = createCheckout({ after })
const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
upstream.always({ body: '{"input_tokens":8}' })
const environment = {
  PATH: `${join(checkout, 'bin')}:${process.env['PATH']}`,
  HOME: checkout,
  CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1',
}
const run = async (command: string): Promise<string> => {
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', command], {
    cwd: checkout,
    env: environment,
    timeout: 120_000,
  })
  return stdout
}

test('docs commands: whatever can be typed stands in a block that says so', () => {
  assert.ok(pages.includes('README.md') && pages.includes('deploy/compose/README.md'))
  assert.ok(shell.length >= 30)
  const odd = blocks.filter(({ language }) => !/^(sh|sql|yaml|json|)$/.test(language))
  assert.deepEqual(odd, [])
  // A figure or a line of a log, never a command in disguise.
  const programs = /^\s*\$ |^\s*(?:npm|node|bin\/gateway|gateway|curl|kubectl|docker|podman|psql) /m
  const disguised = blocks.filter(({ language, text }) => language === '' && programs.test(text))
  assert.deepEqual(disguised, [])
})

test('docs commands: each block is run here, by the spec it names, or says what it needs', () => {
  for (const { place, text, mark } of shell) {
    assert.match(mark, /^(?:runs(?:: (?:sql|gateway))?|run by: \S+\.spec\.ts|needs: \S.*)$/, place)
    // Those are run by the spec of the pages about deployment, and by no other.
    if (/^runs(: sql)?$/.test(mark)) assert.match(place, /^docs\/(deployment|migration)\.md:/)
    const [, file] = /^run by: (.*)$/.exec(mark) ?? []
    if (file === undefined) continue
    const spec = readFileSync(join(root, file), 'utf8')
    // Either it reads the page and runs what stands there, or it has each command itself.
    const [page = ''] = place.split(':')
    if (spec.includes(page)) continue
    for (const command of commandsOf(text))
      assert.ok(spec.includes(command), `${place}: ${command}`)
  }
})

test('docs commands: a block that needs something needs it for every command in it', () => {
  const needs =
    /^(?:podman|docker|helm|kubectl|aws|gcloud|systemctl|journalctl|install|GATEWAY_CONFIG=|sed)\b/
  for (const { place, text, mark } of shell.filter(({ mark: own }) => own.startsWith('needs:'))) {
    if (mark.startsWith('needs: minutes')) continue
    for (const command of commandsOf(text)) assert.match(command, needs, place)
  }
})

test('docs commands: what is written in a line is a command line that the gateway takes', () => {
  let count = 0
  for (const page of pages.filter((name) => !/CHANGELOG/.test(name))) {
    const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```[^]*?^```/gm, '')
    for (const [, command = ''] of text.matchAll(/`(?:bin\/)?gateway ([^`]+)`/g)) {
      // `gateway audit verify` names the command, `gateway forget` too: options come elsewhere.
      const parsed = parseCommandLine(command.split(/\s+/))
      const isNamed = parsed.kind === 'mistake' && / needs '--/.test(parsed.message)
      assert.ok(parsed.kind !== 'mistake' || isNamed, `${page}: ${command}`)
      count += 1
    }
  }
  assert.ok(count > 10, String(count))
})

test('docs commands: the README leads from a checkout to a gateway that serves, and on to the rest', async (t) => {
  const [block] = shell.filter(
    ({ place, mark }) => place.startsWith('README.md') && mark === 'runs: gateway',
  )
  const [build = '', check = '', doctor = '', serve = '', ...more] = commandsOf(block?.text ?? '')
  assert.deepEqual(more, [])
  // Its packages are linked: a registry is the one thing of this that is not tried.
  assert.match(build, /^npm ci && npm run build$/)
  await run(build.replace('npm ci && ', ''))
  assert.ok(existsSync(join(checkout, 'dist/gateway.mjs')))

  const port = await freePort()
  const config = {
    listen: { host: '127.0.0.1', port, public_url: `http://localhost:${port}` },
    oidc: { issuer: provider.issuer, client_id: 'gateway', client_secret: 'gateway-secret' },
    session: { jwt_secret: sessionSecret },
    store: { postgres_url: database.url },
    upstreams: [{ provider: 'anthropic', base_url: upstream.url, auth: { api_key: 'sk-1' } }],
    admin: {},
  }
  writeFileSync(join(checkout, 'gateway.yaml'), JSON.stringify(config))
  assert.match(await run(check), /^gateway\.yaml is valid$/m)

  const gateway = spawn('bash', ['-c', `exec ${serve}`], {
    cwd: checkout,
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(gateway, 'exit')
  t.after(async () => {
    gateway.kill('SIGKILL')
    await ended
  })
  let log = ''
  for await (const chunk of gateway.stderr) {
    log += String(chunk)
    if (log.includes('listening on http')) break
  }
  assert.match(log, /listening on http/)
  assert.match(await run(doctor), /^CHECK +RESULT +SEEN$/m)

  // What the other pages say of the same program, with the files they name.
  for (const { place, text, mark } of shell) {
    if (mark !== 'runs: gateway' || place.startsWith('README.md')) continue
    await t.test(place, async () => {
      if (text.includes('openssl genpkey')) {
        await run(text)
        await writeAudit()
        return
      }
      for (const command of commandsOf(text)) assert.notEqual(await run(command), '', command)
    })
  }
})

/** `audit.log.1` and `audit.log`, signed with the key that the page makes. */
async function writeAudit(): Promise<void> {
  const sign_key_file = join(checkout, 'audit-key.pem')
  assert.equal(createPrivateKey(readFileSync(sign_key_file)).asymmetricKeyType, 'ed25519')
  const file = join(checkout, 'audit.log')
  const owner = { pid: process.pid, isAlive: () => false }
  const deps = { clock: systemClock, log: createRecorder().log, owner }
  const trail = await openAuditFile({ file, sign_key_file, sign_interval_seconds: 1 }, deps)
  trail.add('{"evt":"inference"}')
  while (trail.stats().waitingBytes > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  renameSync(file, `${file}.1`)
  while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 50))
  trail.add('{"evt":"inference"}')
  await trail.close()
}
