import assert from 'node:assert/strict'
import { isAscii } from 'node:buffer'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createDatabase } from '../support/database.ts'
import { listen } from '../support/listen.ts'

const root = join(import.meta.dirname, '..', '..')
const folder = mkdtempSync(join(tmpdir(), 'gateway-bundle-'))
const dist = join(folder, 'dist')
/** Holds the bundle, the configuration and a copy of node, and nothing else. */
const home = join(folder, 'home')
const node = join(home, 'node')
const bundle = join(home, 'gateway.mjs')
const config = join(home, 'gateway.yaml')

/** Root hands the process to an account that owns nothing; anybody else is one already. */
const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

let build: { status: number | null; stdout: string; stderr: string }

before(() => {
  build = spawnSync(process.execPath, [join(root, 'build.mjs'), '--outdir', dist], {
    encoding: 'utf8',
  })
  assert.equal(build.status, 0, build.stderr)
  mkdirSync(home)
  copyFileSync(join(dist, 'gateway.mjs'), bundle)
  copyFileSync(process.execPath, node, constants.COPYFILE_FICLONE)
})

after(() => {
  chmodSync(home, 0o755)
  rmSync(folder, { recursive: true, force: true })
})

/** Writes the configuration and takes every right to write away from everybody. */
function seal(yaml: string): void {
  chmodSync(folder, 0o755)
  chmodSync(home, 0o755)
  rmSync(config, { force: true })
  writeFileSync(config, yaml)
  for (const file of [bundle, config]) chmodSync(file, 0o444)
  chmodSync(node, 0o555)
  chmodSync(home, 0o555)
}

function run(...args: string[]) {
  return spawnSync(node, [bundle, ...args], { cwd: home, env: {}, encoding: 'utf8', ...nobody })
}

function yaml(issuer: string, postgresUrl: string): string {
  return `listen: { host: 127.0.0.1, port: 0, public_url: "http://gateway.example" }
oidc: { issuer: "${issuer}", client_id: gateway, client_secret: secret }
session: { jwt_secret: "0123456789abcdef0123456789abcdef" }
store: { postgres_url: "${postgresUrl}" }
upstreams: [{ provider: anthropic, auth: { api_key: sk-test } }]
`
}

const unreachable = yaml('https://idp.example', 'postgres://u:p@db.example/gateway')

test('bundle: is one file with the notices of what is inside', () => {
  assert.deepEqual(readdirSync(dist).toSorted(), ['THIRD-PARTY-NOTICES.txt', 'gateway.mjs'])
  const notices = readFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), 'utf8')
  for (const vendor of ['jose', 'pg', 'undici', 'yaml', 'valibot']) {
    assert.match(notices, new RegExp(`^${vendor} \\d+\\.\\d+\\.\\d+ \\(`, 'm'))
  }
  assert.doesNotMatch(notices, /^apps-gateway/m)
})

test('bundle: the build says how many bytes come from whom, and what it allows', () => {
  assert.match(build.stdout, /^ +\d+ {2}undici$/m)
  assert.match(build.stdout, /^ +\d+ {2}apps-gateway$/m)
  const [, bytes] = /^ +(\d+) {2}in all, of \d+$/m.exec(build.stdout) ?? []
  assert.equal(Number(bytes), statSync(join(dist, 'gateway.mjs')).size)
})

test('bundle: is ASCII, so that V8 keeps one byte of a character of it', () => {
  const text = readFileSync(join(dist, 'gateway.mjs'))
  assert.ok(isAscii(text))
})

test('bundle: names no file of the machine that built it', () => {
  assert.ok(!readFileSync(join(dist, 'gateway.mjs'), 'utf8').includes(root))
})

test('bundle: alone in a folder it may only read, without rights, it says its version', () => {
  seal(unreachable)
  const result = run('--version')
  assert.equal(result.stderr, '')
  assert.match(result.stdout, /^\d+\.\d+\.\d+\n$/)
  assert.equal(result.status, 0)
})

test('bundle: alone it explains itself', () => {
  seal(unreachable)
  const result = run('--help')
  assert.equal(result.status, 0)
  assert.match(result.stdout, /--config FILE/)
})

test('bundle: alone it validates a configuration, and finds ./gateway.yaml by itself', () => {
  seal(unreachable)
  for (const args of [['check', '--config', config], ['check']]) {
    const result = run(...args)
    assert.equal(result.status, 0, result.stderr)
  }
  seal(unreachable.replace('listen:', 'listn:'))
  const result = run('check', '--config', config)
  assert.equal(result.status, 1)
  assert.match(result.stderr, /listn/)
})

test('bundle: alone it serves from a read-only folder, and leaves nothing in it', async () => {
  const provider = createServer((request, response) => {
    const issuer = `http://${request.headers.host}`
    response.writeHead(200, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
        keys: [],
      }),
    )
  })
  const port = await listen(provider)
  const database = await createDatabase()
  seal(yaml(`http://127.0.0.1:${port}`, database.url))
  const child = spawn(node, [bundle, '--config', config], {
    cwd: home,
    env: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...nobody,
  })
  const exited = once(child, 'exit')
  try {
    let log = ''
    const origin = await new Promise<string>((resolve, reject) => {
      const read = (text: string): void => {
        log += text
        const [, found] = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(log) ?? []
        if (found !== undefined) resolve(found)
      }
      child.stderr.setEncoding('utf8').on('data', read)
      child.stdout.setEncoding('utf8').on('data', read)
      void exited.then(() => reject(new Error(`the bundle left:\n${log}`)))
    })
    const health = await fetch(`${origin}/healthz`)
    assert.deepEqual([health.status, await health.text()], [200, 'ok'])
    const ready = await fetch(`${origin}/readyz`)
    assert.deepEqual([ready.status, await ready.text()], [200, 'ready'])
    const models = await fetch(`${origin}/v1/models`)
    assert.equal(models.status, 401)
    await models.arrayBuffer()
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null], log)
    assert.deepEqual(readdirSync(home).toSorted(), ['gateway.mjs', 'gateway.yaml', 'node'])
  } finally {
    child.kill('SIGKILL')
    provider.closeAllConnections()
    provider.close()
    await database.drop()
  }
})
