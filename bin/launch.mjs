/**
 * Starts a script of this checkout on the pinned Node, installing what is missing first:
 *   node bin/launch.mjs bin/demo/main.ts --once
 * Every npm script goes through here. It runs on any Node from 20 up and needs no package, so
 * that a fresh clone needs nothing but npm.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const oldestNodeMajor = 20

function stop(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

/** npm writes what it installed into node_modules; that it equals the lock file is all we ask. */
function isInstalled() {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages ?? {}
  const present = readJson(join(root, 'node_modules', '.package-lock.json'))?.packages
  if (present === undefined) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    if (present[path] !== undefined) return present[path].version === entry.version
    // Packages for other machines; the ones of ours that matter here are looked for by name.
    return entry.optional === true && !path.endsWith(`linux-${process.arch}`)
  })
}

function install() {
  process.stderr.write('Installing the pinned packages (npm ci, about 450 MB unpacked) …\n')
  // No package of ours needs an install script, and a clone should not run any.
  const result = spawnSync('npm', ['ci', '--ignore-scripts', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (result.error) stop(`npm could not be started: ${result.error.message}`)
  if (result.status !== 0) stop(`npm ci failed with exit code ${result.status}; see above.`)
}

/** The pinned Node of node_modules, or the running one when it is that very version. */
function findNode() {
  const name = `node-linux-${process.arch}`
  const version = readJson(join(root, 'package.json')).optionalDependencies[name]
  if (version === undefined) {
    stop(
      `There is no pinned Node for ${process.platform} ${process.arch}; Linux x64 and arm64 are supported.`,
    )
  }
  if (process.version === `v${version}`) return process.execPath
  const path = join(root, 'node_modules', name, 'bin', 'node')
  if (!existsSync(path)) {
    stop(
      `The pinned Node ${version} is missing (${name} is an optional dependency).\n` +
        'Run "npm ci" without --omit=optional, or start this script with that very Node version.',
    )
  }
  return path
}

const [script, ...rest] = process.argv.slice(2)
if (script === undefined) stop('usage: node bin/launch.mjs SCRIPT [arguments]')
if (Number(process.versions.node.split('.')[0]) < oldestNodeMajor) {
  stop(`Node ${oldestNodeMajor} or newer is needed to install; this is ${process.version}.`)
}
if (!isInstalled()) install()

const node = findNode()
const environment = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}` }
const options = []
if (script.startsWith('spec/')) {
  // Specs start Node a thousand times. It strips types itself and keeps what it compiled, which
  // takes half the time of a loader; the bench measures starts and must not have this.
  environment.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'compiled')
} else {
  options.push('--import', import.meta.resolve('tsx'))
}
const child = spawn(node, [...options, resolve(root, script), ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: environment,
})
// A terminal sends Ctrl-C to both; the child decides what it means. Other signals are passed on.
process.on('SIGINT', () => {})
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => stop(`${node} could not be started: ${error.message}`))
child.on('exit', (code, signal) => {
  if (signal !== null) process.kill(process.pid, signal)
  else process.exit(code ?? 1)
})
