import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AuditFile, openAuditFile } from '../../lib/audit/file.ts'
import { lockFile } from '../../lib/audit/lock.ts'
import { append, genesis } from '../../lib/audit/chain.ts'
import { type Verified, verifyAuditFiles } from '../../lib/audit/verify.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const owner = { pid: process.pid, isAlive: () => true }

function setUp(t: TestContext, sign_interval_seconds = 3600) {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-audit-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'audit.log')
  const sign_key_file = join(folder, 'key.pem')
  writeFileSync(sign_key_file, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const recorder = createRecorder()
  const deps = { clock: systemClock, log: recorder.log, owner }
  const start = (): Promise<AuditFile> =>
    openAuditFile({ file, sign_key_file, sign_interval_seconds }, deps)
  return { file, folder, recorder, start }
}

async function verifyAuditFile(path: string, key: KeyObject): Promise<Verified> {
  const [verified] = await verifyAuditFiles([path], key)
  assert.ok(verified !== undefined)
  return verified
}

const line = (index: number): string => JSON.stringify({ evt: 'inference', index })
const events = (file: string): unknown[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((text) => text.endsWith('}'))
    .map((text) => {
      const fields: { evt: unknown } = JSON.parse(text.slice(text.indexOf('{')))
      return fields.evt
    })

test('audit file: lines come in order, and the end is signed when it is closed', async (t) => {
  const { file, start } = setUp(t)
  const trail = await start()
  for (let index = 0; index < 500; index++) trail.add(line(index))
  await trail.close()
  const { head, ...verified } = await verifyAuditFile(file, publicKey)
  assert.equal(head?.sequence, 502)
  assert.deepEqual(verified, {
    path: file,
    records: 502,
    signatures: 1,
    unsigned: 0,
    unsignedSince: null,
    continues: false,
    problem: null,
  })
  assert.deepEqual(events(file).slice(0, 2), ['audit.begin', 'inference'])
})

test('audit file: goes on after a restart, and cuts a line that a crash left unfinished', async (t) => {
  const { file, start } = setUp(t)
  const first = await start()
  first.add(line(1))
  await first.close()
  appendFileSync(file, '4 0123456789abcdef')
  const second = await start()
  second.add(line(2))
  await second.close()
  const verified = await verifyAuditFile(file, publicKey)
  assert.equal(verified.problem, null)
  assert.ok(events(file).includes('audit.resume'))
  assert.match(readFileSync(file, 'utf8'), /"dropped_bytes":18/)
})

test('audit file: one whose end was changed is not gone on with', async (t) => {
  const { file, start } = setUp(t)
  const trail = await start()
  for (let index = 0; index < 5; index++) trail.add(line(index))
  await trail.close()
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace(/"signature":"..../, '"signature":"AAAA'))
  await assert.rejects(start(), /extensions\.audit: .* does not follow the one before it/)
})

test('audit file: every change, loss and exchange of lines is found', async (t) => {
  const { file, start } = setUp(t)
  const trail = await start()
  for (let index = 0; index < 8; index++) trail.add(line(index))
  await trail.close()
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const problemOf = async (changed: readonly string[]): Promise<string | null> => {
    const copy = `${file}.copy`
    writeFileSync(copy, `${changed.join('\n')}\n`)
    return (await verifyAuditFile(copy, publicKey)).problem
  }
  assert.equal(await problemOf(lines), null)
  for (const [at, text] of lines.entries()) {
    const changed = text.replace(/"(index|ts|evt)":/, '"$1" :')
    const place = `line ${at + 1}`
    assert.match((await problemOf(lines.with(at, changed))) ?? '', new RegExp(`^${place} `), place)
    // What is cut off at the end shows as records without a signature, and nothing else can.
    if (at < lines.length - 1) assert.ok((await problemOf(lines.toSpliced(at, 1))) !== null, place)
    if (at > 0) {
      const one = lines[at - 1] ?? ''
      assert.ok((await problemOf(lines.with(at - 1, text).with(at, one))) !== null)
    }
  }
  const cut = `${file}.cut`
  writeFileSync(cut, `${lines.slice(0, -2).join('\n')}\n`)
  const { problem, unsigned } = await verifyAuditFile(cut, publicKey)
  assert.deepEqual([problem, unsigned], ['no signature: nothing is proven', lines.length - 2])
  const other = generateKeyPairSync('ed25519')
  assert.match(
    (await verifyAuditFile(file, other.publicKey)).problem ?? '',
    /signed by another key/,
  )
})

test('audit file: a file that is moved away is followed by one that goes on with its hash', async (t) => {
  const { file, folder, recorder, start } = setUp(t)
  const trail = await start()
  trail.add(line(1))
  await sleep(100)
  const old = join(folder, 'audit.1.log')
  renameSync(file, old)
  for (let turn = 0; turn < 100 && !existsSync(file); turn++) await sleep(50)
  trail.add(line(2))
  await trail.close()
  const [one, two] = await verifyAuditFiles([old, file], publicKey)
  assert.deepEqual([one?.problem, two?.problem, two?.continues], [null, null, true])
  assert.deepEqual([one?.unsigned, two?.unsigned], [2, 0], 'the signature covers the file before')
  // What is cut off the end of the old file shows at the beginning of the next.
  const kept = readFileSync(old, 'utf8').split('\n').slice(0, -2)
  writeFileSync(old, `${kept.join('\n')}\n`)
  const [short, next] = await verifyAuditFiles([old, file], publicKey)
  assert.equal(short?.problem, null)
  assert.match(next?.problem ?? '', /^line 1 \(3\) does not follow .*audit\.1\.log$/)
  assert.deepEqual(events(file).slice(0, 2), ['audit.begin', 'inference'])
  assert.match(recorder.lines.join(), /was moved away, a new one goes on/)
})

test('audit file: signs at intervals', async (t) => {
  const { file, start } = setUp(t, 1)
  const trail = await start()
  trail.add(line(1))
  for (let turn = 0; turn < 100 && !events(file).includes('audit.signature'); turn++)
    await sleep(50)
  assert.ok(events(file).includes('audit.signature'))
  await trail.close()
})

test('audit file: lines wait in memory while it cannot be written, and are all there later', async (t) => {
  const { file, folder, recorder, start } = setUp(t)
  const trail = await start()
  trail.add(line(1))
  await sleep(100)
  // The file and its folder are gone, and come back.
  renameSync(folder, `${folder}.away`)
  await sleep(1300)
  for (let index = 2; index < 10; index++) trail.add(line(index))
  await sleep(100)
  assert.ok(trail.stats().failures > 0)
  assert.match(recorder.lines.join(), /warn audit file: .* cannot be written, lines wait in memory/)
  renameSync(`${folder}.away`, folder)
  for (let turn = 0; turn < 100 && trail.stats().waitingBytes > 0; turn++) await sleep(50)
  await trail.close()
  assert.equal((await verifyAuditFile(file, publicKey)).problem, null)
  assert.equal(events(file).filter((evt) => evt === 'inference').length, 9)
})

test('audit file: belongs to one process, and a lock left behind by a dead one is taken', async (t) => {
  const { file, start } = setUp(t)
  const trail = await start()
  const other = { pid: process.pid + 1, isAlive: () => true }
  await assert.rejects(
    lockFile(`${file}.lock`, other, systemClock),
    /another gateway writes the file/,
  )
  const dead = { pid: process.pid + 1, isAlive: () => false }
  await (
    await lockFile(`${file}.lock`, dead, systemClock)
  )()
  await trail.close()
})

test('audit file: of many who find the lock of a dead one exactly one takes it', async (t) => {
  const { folder } = setUp(t)
  const path = join(folder, 'race.lock')
  let dead: number | undefined
  for (let round = 0; round < 40; round++) {
    const contenders = Array.from({ length: 8 }, (_, index) => ({
      pid: 1000 + round * 8 + index,
      // Everybody lives but the one whose lock was left behind.
      isAlive: (pid: number) => pid !== dead,
    }))
    const all = await Promise.allSettled(
      contenders.map(async (contender) => {
        if (round % 2 > 0) await sleep(contender.pid % 3)
        return { pid: contender.pid, unlock: await lockFile(path, contender, systemClock) }
      }),
    )
    const winners = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    assert.equal(winners.length, 1, `round ${round}`)
    for (const one of all) {
      if (one.status === 'rejected') assert.match(String(one.reason), /another gateway writes/)
    }
    // Given back in every third round, left behind by a crash in the others.
    dead = winners[0]?.pid
    if (round % 3 === 0) await winners[0]?.unlock()
    assert.ok(readdirSync(path).length <= 4, 'old locks do not pile up')
  }
})

test('audit file: of many processes that start at once one gets it', async (t) => {
  const { folder } = setUp(t)
  const path = join(folder, 'processes.lock')
  // The lock of a process that is gone.
  mkdirSync(path)
  writeFileSync(join(path, '41'), `${hostname()} 4194303`)
  const script = `
    import { lockFile } from './lib/audit/lock.ts'
    import { systemClock } from './lib/kernel/clock.ts'
    const isAlive = (pid) => { try { process.kill(pid, 0); return true } catch { return false } }
    const keep = setInterval(() => {}, 1000)
    process.stdin.once('data', async () => {
      try {
        await lockFile(process.argv[1], { pid: process.pid, isAlive }, systemClock)
        console.log('mine')
      } catch (error) { console.log(error.message) }
    }).once('end', () => clearInterval(keep))
    console.log('ready')`
  const children = Array.from({ length: 5 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script, path], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  )
  t.after(() => children.forEach((child) => child.kill('SIGKILL')))
  const said = children.map((child) => createInterface(child.stdout)[Symbol.asyncIterator]())
  const next = async (): Promise<string[]> =>
    (await Promise.all(said.map((lines) => lines.next()))).map(({ value }) => String(value))
  assert.deepEqual([...new Set(await next())], ['ready'])
  for (const child of children) child.stdin.write('go\n')
  const outputs = await next()
  assert.equal(outputs.filter((text) => text === 'mine').length, 1, outputs.join('\n'))
  assert.equal(outputs.filter((text) => /another gateway writes/.test(text)).length, 4)
  for (const child of children) child.stdin.end()
})

test('audit file: a lock with our own name and number is watched before it is taken', async (t) => {
  const { folder } = setUp(t)
  const path = join(folder, 'twin.lock')
  const twin = { pid: 1, isAlive: () => true }
  const clock = createFakeClock(Date.now())
  await lockFile(path, twin, clock)
  const passes = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 500) {
      await sleep(2) // the files are real, the time is not
      await clock.advance(500)
    }
  }
  // Another container with this name and number: it touches the file while we look.
  const refused = assert.rejects(lockFile(path, twin, clock), /another gateway writes the file/)
  await passes(10_000)
  await refused
  // An earlier life of ours: nobody touches it.
  const later = createFakeClock(Date.now())
  const taken = lockFile(path, twin, later)
  for (let at = 0; at < 10_000; at += 500) {
    await sleep(2)
    await later.advance(500)
  }
  await (
    await taken
  )()
})

test('audit file: a lock from elsewhere is taken once it was not touched for 20 s', async (t) => {
  const { folder } = setUp(t)
  const path = join(folder, 'elsewhere.lock')
  mkdirSync(path)
  writeFileSync(join(path, '7'), 'another-host 1')
  await assert.rejects(lockFile(path, owner, systemClock), /another gateway writes the file/)
  const old = new Date(Date.now() - 21_000)
  utimesSync(join(path, '7'), old, old)
  await (
    await lockFile(path, owner, systemClock)
  )()
  assert.deepEqual(readdirSync(path).toSorted(), ['7', '8'])
})

test('audit file: no byte of it can be changed, put in or left out', async (t) => {
  const { file, start } = setUp(t)
  const trail = await start()
  trail.add(line(1))
  await trail.close()
  const bytes = readFileSync(file)
  const copy = `${file}.copy`
  const isSound = async (changed: Uint8Array): Promise<boolean> => {
    writeFileSync(copy, changed)
    return (await verifyAuditFile(copy, publicKey)).problem === null
  }
  assert.ok(await isSound(bytes))
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (bytes[at] ?? 0) ^ 1
    assert.ok(!(await isSound(flipped)), `byte ${at} changed`)
    const cut = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    assert.ok(!(await isSound(cut)), `byte ${at} left out`)
    for (const more of ['\r', '\n', ' ', '\uFEFF']) {
      const parts = [bytes.subarray(0, at), Buffer.from(more), bytes.subarray(at)]
      assert.ok(!(await isSound(Buffer.concat(parts))), `${JSON.stringify(more)} put in at ${at}`)
    }
  }
})

test('audit file: without the key nobody makes a new one that passes for signed', async (t) => {
  const { file } = setUp(t)
  let head = genesis
  const lines = ['{"evt":"audit.begin"}', line(1), line(2)].map((json) => {
    const record = append(head, json)
    ;({ head } = record)
    return record.line
  })
  writeFileSync(file, lines.join(''))
  assert.equal((await verifyAuditFile(file, publicKey)).problem, 'no signature: nothing is proven')
  assert.equal((await verifyAuditFiles([file], null))[0]?.problem, null)
})

test('audit file: no text of a client ends a line, or keeps the gateway from going on', async (t) => {
  const { file, start } = setUp(t)
  const trail = await start()
  const odd = { evt: 'inference', model: 'a\u2028b\u2029c\u0085d\r\n\uD800\uFFFD' }
  trail.add(JSON.stringify(odd))
  for (let turn = 0; turn < 100 && !readFileSync(file, 'utf8').includes('inference'); turn++)
    await sleep(20)
  // As after a crash: this is the last line.
  const text = readFileSync(file)
  await trail.close()
  writeFileSync(file, text)
  const next = await start()
  await next.close()
  const verified = await verifyAuditFile(file, publicKey)
  assert.deepEqual([verified.problem, verified.records], [null, 4])
})

/** Lowers a limit of a process that runs, as no disk of a test can be filled. */
const prlimit = '/usr/bin/prlimit'

test(
  'audit file: a disk that is full in the middle of a line loses none, and stops nothing',
  { skip: existsSync(prlimit) ? false : 'needs prlimit of util-linux' },
  async (t) => {
    const limit = (bytes: number | 'unlimited'): void => {
      execFileSync(prlimit, ['--pid', String(process.pid), `--fsize=${bytes}:`])
    }
    const { file, recorder, start } = setUp(t)
    const trail = await start()
    trail.add(line(0))
    await sleep(200)
    const before = statSync(file).size
    // No file of this process grows beyond this: the kernel writes a part and refuses the rest.
    limit(before + 1000)
    t.after(() => limit('unlimited'))
    const count = 3000
    for (let index = 1; index <= count; index++) trail.add(line(index))
    for (let turn = 0; turn < 200 && trail.stats().failures === 0; turn++) await sleep(20)
    assert.ok(trail.stats().failures > 0)
    assert.ok(trail.stats().waitingBytes > 0)
    assert.equal(statSync(file).size, before, 'what was written in part is taken back')
    assert.match(recorder.lines.join('\n'), /cannot be written, lines wait in memory: EFBIG/)
    limit('unlimited')
    for (let turn = 0; turn < 200 && trail.stats().waitingBytes > 0; turn++) await sleep(50)
    await trail.close()
    const verified = await verifyAuditFile(file, publicKey)
    assert.deepEqual([verified.problem, verified.records], [null, count + 3])
  },
)
