/**
 * Keeps the listener's certificate the one on disk: looks at the two files at short intervals and
 * when told to, and puts a new pair in use when it is sound. Whatever is wrong with a new pair,
 * the one in use stays. No file watcher: those lose sight of files that are swapped by symbolic
 * links or live on network file systems.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import type { Clock, Timer } from '../kernel/clock.ts'
import { messageOf } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { expiryWarning, parseCertificates, parsePrivateKey } from '../schema/certificate.ts'
import { fileProblem } from '../schema/facts.ts'
import type { Certificate } from './node-server.ts'

export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

export interface CertificateReloadDeps {
  /** Rejects with the system's error, with its `code`. */
  readonly readFile: (path: string) => Promise<Uint8Array>
  /** Puts a pair in use; throws when it does not fit. */
  readonly install: (certificate: Certificate) => void
  readonly clock: Clock
  readonly log: Log
}

export interface CertificateReload {
  /** The listener's own certificate, as in use. */
  current(): X509Certificate
  /** Looks at the files now and logs what came of it. Never rejects. */
  reload(): Promise<void>
  stop(): void
}

/** Two small files; whoever has swapped them looks for the effect within seconds. */
const lookEveryMs = 2_000

type Look =
  | { readonly kind: 'same' }
  | { readonly kind: 'new'; readonly pair: Pair }
  /** `reason` names the file. */
  | { readonly kind: 'bad'; readonly reason: string }

interface Pair extends Certificate {
  readonly own: X509Certificate
  readonly fingerprint: string
}

/** `initial` is the pair in use, read from the same files. */
export function createCertificateReload(
  files: CertificateFiles,
  initial: Certificate,
  deps: CertificateReloadDeps,
): CertificateReload {
  const { install, clock, log } = deps
  const first = judge(files, initial)
  if (first.kind === 'bad') throw new Error(first.reason)
  let inUse = first.pair
  /** What was wrong at the last look, and whether that was said. */
  let bad: { readonly reason: string; readonly said: boolean } | null = null

  const look = async (): Promise<Look> => {
    const read = await readPair(files, deps.readFile)
    if ('reason' in read) return { kind: 'bad', reason: read.reason }
    if (fingerprintOf(read) === inUse.fingerprint) return { kind: 'same' }
    const found = judge(files, read)
    if (found.kind === 'bad') return found
    try {
      install(found.pair)
    } catch (error) {
      const what = messageOf(error)
      return { kind: 'bad', reason: `${files.cert} and ${files.key} cannot be used: ${what}` }
    }
    return found
  }

  const apply = async (isAsked: boolean): Promise<void> => {
    const found = await look()
    if (found.kind === 'bad') {
      // Files are replaced one after the other: at first sight half a pair is no mistake.
      const known = bad?.reason === found.reason ? bad : null
      const said = isAsked || (known !== null && !known.said)
      if (said) log.error(`listen.tls: ${found.reason}; the certificate in use stays`)
      bad = { reason: found.reason, said: said || known?.said === true }
      return
    }
    bad = null
    if (found.kind === 'new') {
      inUse = found.pair
      const end = new Date(inUse.own.validTo).toISOString().slice(0, 10)
      log.info(`listen.tls: new certificate from ${files.cert} in use, valid until ${end}`)
      const warning = expiryWarning(inUse.own, clock.now())
      if (warning !== null) log.warn(`listen.tls.cert: ${warning}`)
    } else if (isAsked) {
      log.info(`listen.tls: ${files.cert} and ${files.key} are unchanged`)
    }
  }

  const one = createQueue()
  const timer: Timer = clock.every(lookEveryMs, () => one.unlessBusy(() => apply(false)))
  return {
    current: () => inUse.own,
    reload: () => one.next(() => apply(true)),
    stop: () => timer.cancel(),
  }
}

/** One look at a time: a file system that hangs must not gather them. */
function createQueue(): {
  unlessBusy(work: () => Promise<void>): void
  next(work: () => Promise<void>): Promise<void>
} {
  let waiting = 0
  let last: Promise<void> = Promise.resolve()
  const next = (work: () => Promise<void>): Promise<void> => {
    waiting++
    last = last.then(work).finally(() => waiting--)
    return last
  }
  return {
    next,
    unlessBusy(work) {
      if (waiting === 0) void next(work) // `apply` returns every failure as a value
    },
  }
}

async function readPair(
  files: CertificateFiles,
  readFile: (path: string) => Promise<Uint8Array>,
): Promise<Certificate | { readonly reason: string }> {
  const pair: Record<'cert' | 'key', string> = { cert: '', key: '' }
  for (const name of ['cert', 'key'] as const) {
    try {
      pair[name] = Buffer.from(await readFile(files[name])).toString('latin1')
    } catch (error) {
      // Said by the caller, like every other thing that can be wrong with the files.
      return { reason: `${files[name]}: ${fileProblem(error)}` }
    }
  }
  return pair
}

function judge(files: CertificateFiles, pair: Certificate): Exclude<Look, { kind: 'same' }> {
  const certificates = parseCertificates(pair.cert.toString('latin1'))
  if (certificates.kind === 'bad') {
    return { kind: 'bad', reason: `${files.cert}: ${certificates.found}` }
  }
  const key = parsePrivateKey(pair.key.toString('latin1'))
  if (key.kind === 'bad') return { kind: 'bad', reason: `${files.key}: ${key.found}` }
  const [own] = certificates.value
  if (own === undefined || !own.checkPrivateKey(key.value)) {
    return { kind: 'bad', reason: `${files.key}: not the key of the certificate in ${files.cert}` }
  }
  return { kind: 'new', pair: { ...pair, own, fingerprint: fingerprintOf(pair) } }
}

function fingerprintOf({ cert, key }: Certificate): string {
  return createHash('sha256')
    .update(cert.toString('latin1'))
    .update('\0')
    .update(key.toString('latin1'))
    .digest('base64')
}
