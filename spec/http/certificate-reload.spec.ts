import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  type CertificateReload,
  createCertificateReload,
} from '../../lib/http/certificate-reload.ts'
import type { Certificate } from '../../lib/http/node-server.ts'
import { createLog } from '../../lib/kernel/log.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'

const fixtures = join(import.meta.dirname, '../fixtures')
const fixture = (name: string): string => readFileSync(join(fixtures, 'http', name), 'utf8')
const one = { cert: fixture('one.cert.pem'), key: fixture('one.key.pem') }
const two = { cert: fixture('two.cert.pem'), key: fixture('two.key.pem') }
const short = {
  cert: readFileSync(join(fixtures, 'pem/rsa.crt.pem'), 'utf8'),
  key: readFileSync(join(fixtures, 'pem/rsa.key.pem'), 'utf8'),
}

interface Bench {
  readonly folder: string
  readonly clock: FakeClock
  readonly lines: string[]
  readonly installed: Certificate[]
  readonly watch: CertificateReload
  readonly write: (pair: Partial<Certificate>) => void
  /** Lets `seconds` pass and the looks in them end. */
  readonly wait: (seconds: number) => Promise<void>
  readonly subject: () => string
}

interface Choices {
  readonly now?: string
  readonly install?: (certificate: Certificate) => void
  readonly read?: (path: string) => Promise<Uint8Array>
}

function open(
  t: TestContext,
  { now = '2030-01-01', install, read = readFile }: Choices = {},
): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const clock = createFakeClock(Date.parse(now))
  const lines: string[] = []
  const { log } = createLog('info', (line) => lines.push(line.trimEnd()), clock)
  const installed: Certificate[] = []
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  const write: Bench['write'] = ({ cert, key }) => {
    if (cert !== undefined) writeFileSync(files.cert, cert)
    if (key !== undefined) writeFileSync(files.key, key)
  }
  let looks = 0
  const watch = createCertificateReload(files, one, {
    readFile: (path) => {
      looks++
      return read(path)
    },
    install: install ?? ((certificate) => installed.push(certificate)),
    clock,
    log,
  })
  t.after(() => watch.stop())
  write(one)
  return {
    folder,
    clock,
    lines,
    installed,
    watch,
    write,
    async wait(seconds) {
      for (let passed = 0; passed < seconds; passed += 2) {
        const before = looks
        await clock.advance(2_000)
        // The files are real and so is the time it takes to read them.
        for (let turn = 0; turn < 500 && looks === before; turn++) await pause()
        for (let turn = 0; turn < 10; turn++) await pause()
      }
    },
    subject: () => watch.current().subject,
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))

test('certificate: files that stay as they are are nobody’s business', async (t) => {
  const { wait, lines, installed, subject } = open(t)
  await wait(20)
  assert.deepEqual([lines, installed], [[], []])
  assert.equal(subject(), 'CN=one.gateway.test')
})

test('certificate: a new pair is in use within seconds, once', async (t) => {
  const { write, wait, lines, installed, subject } = open(t)
  write(two)
  await wait(10)
  assert.deepEqual(
    installed.map(({ cert, key }) => [cert, key]),
    [[two.cert, two.key]],
  )
  assert.equal(subject(), 'CN=two.gateway.test')
  assert.equal(lines.length, 1)
  assert.match(
    lines.join(),
    / info listen\.tls: new certificate from .*tls\.crt in use, valid until 2126-/,
  )
})

test('certificate: a folder that is swapped by a symbolic link is seen', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const put = (version: string, { cert, key }: typeof one): void => {
    mkdirSync(join(folder, version))
    writeFileSync(join(folder, version, 'tls.crt'), cert)
    writeFileSync(join(folder, version, 'tls.key'), key)
    symlinkSync(version, join(folder, 'next'))
    renameSync(join(folder, 'next'), join(folder, '..data'))
  }
  put('v1', one)
  symlinkSync('..data/tls.crt', join(folder, 'tls.crt'))
  symlinkSync('..data/tls.key', join(folder, 'tls.key'))
  const clock = createFakeClock()
  const { log } = createLog('info', () => {}, clock)
  const installed: Certificate[] = []
  const watch = createCertificateReload(
    { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') },
    one,
    { readFile, install: (certificate) => installed.push(certificate), clock, log },
  )
  put('v2', two)
  await watch.reload()
  assert.deepEqual(
    installed.map(({ cert }) => cert),
    [two.cert],
  )
  watch.stop()
})

test('certificate: asked to look, it looks at once and says what it found', async (t) => {
  const { write, watch, lines, subject } = open(t)
  await watch.reload()
  assert.match(lines[0] ?? '', / info listen\.tls: .*tls\.crt and .*tls\.key are unchanged$/)
  write(two)
  await watch.reload()
  assert.match(lines[1] ?? '', / info listen\.tls: new certificate/)
  assert.equal(subject(), 'CN=two.gateway.test')
})

test('certificate: a bad pair leaves the old one in use and names the file and what is wrong', async (t) => {
  for (const [pair, reason] of [
    [{ cert: 'nonsense' }, /tls\.crt: no PEM certificate; the certificate in use stays$/],
    [{ cert: '' }, /tls\.crt: no PEM certificate, but nothing at all; /],
    [{ cert: two.cert }, /tls\.key: not the key of the certificate in .*tls\.crt; /],
    [{ key: two.key }, /tls\.key: not the key of the certificate/],
    [{ cert: two.cert, key: 'nonsense' }, /tls\.key: no PEM private key; /],
    [{ cert: one.key }, /tls\.crt: no PEM certificate, but a PEM block PRIVATE KEY; /],
  ] as const) {
    const { write, watch, lines, installed, subject } = open(t)
    write(pair)
    await watch.reload()
    assert.match(lines[0] ?? '', / error listen\.tls: /)
    assert.match(lines[0] ?? '', reason)
    assert.doesNotMatch(lines.join(), /BEGIN|nonsense/)
    assert.deepEqual(installed, [])
    assert.equal(subject(), 'CN=one.gateway.test')
  }
})

test('certificate: a file that is gone is said, and comes back', async (t) => {
  const { folder, write, watch, lines, subject } = open(t)
  rmSync(join(folder, 'tls.key'))
  await watch.reload()
  assert.match(lines[0] ?? '', / error listen\.tls: .*tls\.key: there is no such file; /)
  write(two)
  await watch.reload()
  assert.equal(subject(), 'CN=two.gateway.test')
})

test('certificate: half a pair at one look is no error, at the next it is one, and not again', async (t) => {
  const { write, wait, lines, subject } = open(t)
  write({ cert: two.cert })
  await wait(2)
  assert.deepEqual(lines, [])
  write({ key: two.key })
  await wait(2)
  assert.equal(subject(), 'CN=two.gateway.test')
  assert.equal(lines.length, 1)
  write({ cert: one.cert })
  await wait(20)
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', / error listen\.tls: /)
  write({ cert: two.cert })
  await wait(4)
  write({ cert: one.cert })
  await wait(4)
  assert.equal(lines.length, 3)
})

test('certificate: a pair that the listener will not take is an error with its reason', async (t) => {
  const install = (): void => {
    throw new Error('ee key too small')
  }
  const { write, watch, lines, subject } = open(t, { install })
  write(two)
  await watch.reload()
  assert.match(lines[0] ?? '', /tls\.crt and .*tls\.key cannot be used: ee key too small; /)
  assert.equal(subject(), 'CN=one.gateway.test')
})

test('certificate: a new one that ends soon, or has ended, is used with a warning', async (t) => {
  for (const [now, warning] of [
    ['2036-11-10', / warn listen\.tls\.cert: the certificate expires on 2036-11-20, in 10 day/],
    ['2036-12-01', / warn listen\.tls\.cert: THE CERTIFICATE EXPIRED on 2036-11-20/],
  ] as const) {
    const { write, watch, lines, installed } = open(t, { now })
    write(short)
    await watch.reload()
    assert.equal(installed.length, 1)
    assert.match(lines[1] ?? '', warning)
  }
})

test('certificate: a file system that hangs gathers no looks', async (t) => {
  let reads = 0
  const read = (): Promise<Uint8Array> => {
    reads++
    return new Promise(() => {})
  }
  const { clock } = open(t, { read })
  await clock.advance(60_000)
  assert.equal(reads, 1)
})

test('certificate: files that do not fit at the start are refused', () => {
  const clock = createFakeClock()
  const { log } = createLog('info', () => {}, clock)
  const deps = { readFile, install: () => {}, clock, log }
  const files = { cert: '/c', key: '/k' }
  assert.throws(() => createCertificateReload(files, { cert: one.cert, key: two.key }, deps), {
    message: '/k: not the key of the certificate in /c',
  })
})
