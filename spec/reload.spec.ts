/** When a changed file is put in use, tried again or left alone: on a moved clock and real files. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createConfigFiles } from '../lib/config-files.ts'
import type { Config } from '../lib/config.ts'
import { createReload } from '../lib/reload.ts'
import { createFakeClock } from './support/fake-clock.ts'
import { createRecorder } from './support/recorder.ts'

const minimal = readFileSync(
  new URL('fixtures/config/minimal.yaml', import.meta.url),
  'utf8',
).replaceAll(/^#.*\n/gm, '')

function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'reload-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'gateway.yaml')
  const write = (more: string): void => writeFileSync(path, `${minimal}\n${more}`)
  write('')
  const clock = createFakeClock()
  const { log, lines, audit, audits } = createRecorder()
  const files = createConfigFiles(path, { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' })
  const initial = files.load(clock.now())
  assert.ok(initial.kind === 'ok', JSON.stringify(initial))
  const tries: number[] = []
  const used: Config[] = []
  let dropped = 0
  let prepare = (): Promise<void> => Promise.resolve()
  const reload = createReload({
    files,
    initial,
    async prepare(config) {
      tries.push(clock.elapsed() / 1000)
      await prepare()
      return {
        use: () => void used.push(config),
        async drop() {
          dropped += 1
        },
      }
    },
    clock,
    log,
    audit,
  })
  t.after(() => reload.stop())
  return {
    write,
    clock,
    lines,
    audits,
    initial,
    reload,
    tries,
    used,
    dropped: () => dropped,
    prepares: (as: typeof prepare) => void (prepare = as),
  }
}

/** Files are read by the system while the clock stands still. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
}

test('reload: a failure that is not the file’s is tried again with growing pauses until it works', async (t) => {
  const { write, clock, reload, tries, used, lines, prepares } = setUp(t)
  prepares(() => Promise.reject(new Error('issuer does not answer')))
  write('limits: { max_url_length: 500 }')
  await reload.now('SIGHUP')
  assert.deepEqual(tries, [0])
  assert.match(lines.join('\n'), /the old configuration stays in use: issuer does not answer/)
  assert.match(lines.join('\n'), /warn reload: the same is tried again in 10 s/)
  for (let second = 0; second < 1500; second++) {
    await clock.advance(1000)
    if (tries.at(-1) === clock.elapsed() / 1000) await settle()
  }
  assert.deepEqual(tries, [0, 10, 30, 70, 150, 310, 610, 910, 1210])
  assert.equal(used.length, 0)
  prepares(() => Promise.resolve())
  await clock.advance(300_000)
  await settle()
  assert.equal(used.length, 1)
  assert.match(lines.at(-1) ?? '', /reload \(another try\): in use now, changed: limits/)
  await clock.advance(3_600_000)
  await settle()
  assert.equal(tries.length, 10, 'once it is in use nothing is tried any more')
})

test('reload: another file ends the tries of the one before, and mistakes are not tried again', async (t) => {
  const { write, clock, reload, tries, used, lines, prepares } = setUp(t)
  prepares(() => Promise.reject(new Error('away')))
  write('limits: { max_url_length: 500 }')
  await reload.now('SIGHUP')
  write('limits: { max_url_length: none }')
  await reload.now('SIGHUP')
  assert.match(lines.at(-1) ?? '', /stays in use: .* has 1 mistake/)
  await clock.advance(3_600_000)
  await settle()
  assert.equal(tries.length, 1)
  prepares(() => Promise.resolve())
  write('limits: { max_url_length: 600 }')
  await reload.now('SIGHUP')
  assert.equal(used[0]?.limits.max_url_length, 600)
})

test('reload: a comment changes nothing but the hash, which the audit has', async (t) => {
  const { write, reload, tries, audits, lines, initial } = setUp(t)
  await reload.now('SIGHUP')
  assert.equal(audits.length, 0, 'the same file is no event')
  write('# said of it')
  await reload.now('SIGHUP')
  await reload.now('SIGHUP')
  assert.equal(tries.length, 0, 'nothing is built anew')
  assert.equal(audits.length, 1)
  assert.equal(audits[0]?.event, 'config.load')
  const { sha256 } = audits[0] ?? {}
  assert.ok(typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256))
  assert.notEqual(sha256, initial.sha256)
  assert.ok(lines.every((line) => /info .*the configuration is unchanged$/.test(line)))
})

test('reload: one that is under way when the gateway stops comes to nothing', async (t) => {
  const { write, reload, used, dropped, audits, lines, prepares, clock } = setUp(t)
  const gate = Promise.withResolvers<void>()
  prepares(() => gate.promise)
  write('limits: { max_url_length: 500 }')
  const under = reload.now('SIGHUP')
  await settle()
  reload.stop()
  gate.resolve()
  await under
  assert.deepEqual([used.length, dropped(), audits.length], [0, 1, 0])
  assert.match(lines.at(-1) ?? '', /stays in use: the gateway is stopping/)
  await reload.now('SIGHUP')
  await clock.advance(3_600_000)
  await settle()
  assert.equal(used.length, 0)
})
