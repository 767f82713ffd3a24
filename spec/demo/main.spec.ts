/** The first command of the README, as a newcomer types it, in a checkout of its own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCheckout } from '../support/checkout.ts'

/** Installing the database and two boots, on a machine that does other things. */
const patienceMs = 180_000

test('demo: npm run demo starts everything, proves it, serves until Ctrl-C and leaves .demo alone', async (t) => {
  const folder = createCheckout(t)
  const before = readdirSync(folder).toSorted()
  // A group of its own: Ctrl-C reaches all of a terminal's job.
  const demo = spawn('npm', ['run', 'demo'], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: folder, npm_config_update_notifier: 'false' },
  })
  const { pid } = demo
  assert.ok(pid !== undefined)
  // npm leaves before the demo has said its last word.
  const ended = once(demo, 'close')
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name)
    } catch {
      // It has ended.
    }
  }
  t.after(() => signal('SIGKILL'))
  const limit = setTimeout(() => signal('SIGTERM'), patienceMs)
  let said = ''
  demo.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  demo.stdout.on('data', (chunk: Buffer) => {
    const heard = said
    said += chunk.toString()
    if (/Ctrl-C/.test(said) && !/Ctrl-C/.test(heard)) signal('SIGINT')
  })
  await ended
  clearTimeout(limit)
  assert.match(said, /ready after/)
  assert.match(said, /Stopping …/, said)
  const [, url = ''] = /serves at (\S+) until Ctrl-C/.exec(said) ?? []
  await assert.rejects(fetch(`${url}/healthz`), 'the gateway is gone')
  const added = readdirSync(folder).filter((name) => !before.includes(name))
  assert.deepEqual(
    added.filter((name) => !['.demo', '.npm'].includes(name)),
    [],
  )
  assert.ok(existsSync(join(folder, '.demo/gateway.yaml')))
})
