/**
 * The audit once more, in a file that shows when it was changed (`chain.ts`). Lines leave in
 * batches behind the requests; a file that cannot be written keeps them in bounded memory. Goes
 * on where the file ended, across restarts and rotations, and shares it with nobody.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import type { Clock } from '../kernel/clock.ts'
import { messageOf } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { append, follows, genesis, type Head, keyIdOf, parse, signHead } from './chain.ts'
import { lockFile, type Owner } from './lock.ts'

export interface AuditFileConfig {
  readonly file: string
  readonly sign_key_file?: string | undefined
  readonly sign_interval_seconds: number
}

export interface AuditFile {
  /** One audit line, as JSON without a newline. Never throws, never waits. */
  add(json: string): void
  /** Writes and signs what there is, and gives the file back. */
  close(): Promise<void>
  stats(): { readonly failures: number; readonly waitingBytes: number }
}

export interface AuditFileDeps {
  readonly clock: Clock
  readonly log: Log
  readonly owner: Owner
}

/** Of a disk that is full: about 50,000 lines. Beyond it lines are lost, counted and recorded. */
const waitingBytesMax = 16 * 1024 * 1024
/** A full disk is not emptied in a moment. */
const retryMs = 1000
/**
 * Lines hashed at once: a few milliseconds. All that waits on a full disk took a third of a second
 * at each try, and requests with it.
 */
const linesAtOnce = 500
/** How soon a file that was renamed away is noticed. */
const lookEveryMs = 1000
/** At most one warning in this time. */
const warnEveryMs = 60_000
/** Two records: one line of the audit is a few hundred bytes. */
const tailBytes = 256 * 1024

/** Rejects with one line for the operator when the file cannot be gone on with. */
export async function openAuditFile(
  config: AuditFileConfig,
  deps: AuditFileDeps,
): Promise<AuditFile> {
  const { file, sign_key_file } = config
  const key = sign_key_file === undefined ? null : createPrivateKey(readFileSync(sign_key_file))
  const unlock = await lockFile(`${file}.lock`, deps.owner, deps.clock)
  try {
    const trail = new Trail(config, key, deps)
    await trail.start()
    return {
      add: (json) => trail.add(json),
      async close() {
        await trail.close()
        await unlock()
      },
      stats: () => ({ failures: trail.failures, waitingBytes: trail.waitingBytes }),
    }
  } catch (error) {
    await unlock()
    throw new Error(`extensions.audit: ${file}: ${messageOf(error)}`, { cause: error })
  }
}

class Trail {
  failures = 0
  waitingBytes = 0
  readonly #path: string
  readonly #key: KeyObject | null
  readonly #signEveryMs: number
  readonly #deps: AuditFileDeps
  #handle: FileHandle | null = null
  #inode = 0n
  #head: Head = genesis
  #unsigned = 0
  #waiting: string[] = []
  #lost = 0
  #turn: Promise<void> = Promise.resolve()
  #scheduled = false
  #warnedAt = Number.NEGATIVE_INFINITY
  #timers: { cancel(): void }[] = []
  #isClosed = false

  constructor(config: AuditFileConfig, key: KeyObject | null, deps: AuditFileDeps) {
    this.#path = config.file
    this.#key = key
    this.#signEveryMs = config.sign_interval_seconds * 1000
    this.#deps = deps
  }

  async start(): Promise<void> {
    const { clock } = this.#deps
    await this.#open()
    this.#timers = [
      clock.every(lookEveryMs, () => this.#run(() => this.#look())),
      ...(this.#key === null ? [] : [clock.every(this.#signEveryMs, () => this.#sign())]),
    ]
  }

  add(json: string): void {
    if (this.waitingBytes + json.length > waitingBytesMax) {
      this.#lost += 1
      return
    }
    this.#waiting.push(json)
    this.waitingBytes += json.length
    this.#schedule()
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    await this.#settle()
    this.#sign()
    await this.#settle()
    this.#isClosed = true
    await this.#handle?.sync().catch(() => {}) // what it could not keep was warned of
    await this.#handle?.close()
    if (this.waitingBytes > 0) this.#warn(`${this.#waiting.length} lines were never written`)
  }

  /** Until all is written, or a write has failed. */
  async #settle(): Promise<void> {
    do await this.#turn
    while (this.#scheduled)
  }

  /** One thing at a time is done to the file; the lines of one tick leave together. */
  #run(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).catch((error: unknown) => this.#fail(error))
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#run(async () => {
      await new Promise<void>((go) => setImmediate(go))
      this.#scheduled = false
      await this.#write()
    })
  }

  /** Opens the file and goes on where it ends. */
  async #open(continues?: Head): Promise<void> {
    const handle = await open(this.#path, 'a+', 0o640)
    try {
      const record = await this.#resume(handle, continues)
      this.#handle = handle
      // In front of whatever waits already.
      this.#waiting.unshift(JSON.stringify({ ts: this.#now(), ...record }))
      this.#schedule()
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** The record that says how this file begins, or goes on. */
  async #resume(handle: FileHandle, continues: Head | undefined): Promise<object> {
    const { size, ino } = await handle.stat({ bigint: true })
    this.#inode = ino
    if (size === 0n) {
      this.#head = continues ?? genesis
      return { evt: 'audit.begin', continues: this.#head.hash }
    }
    const tail = await readTail(handle, Number(size))
    if (tail.partialBytes > 0) await handle.truncate(Number(size) - tail.partialBytes)
    this.#head = tail.head
    return { evt: 'audit.resume', dropped_bytes: tail.partialBytes }
  }

  /** A file that was renamed away is left alone, and a new one goes on with its hash. */
  async #look(): Promise<void> {
    const found = await stat(this.#path, { bigint: true }).catch(() => null)
    if (found?.ino === this.#inode || this.#handle === null) return
    const old = this.#handle
    this.#handle = null
    await old.close()
    await this.#open(this.#head)
    this.#deps.log.info(`audit file: ${this.#path} was moved away, a new one goes on`)
  }

  #sign(): void {
    if (this.#key === null || this.#unsigned === 0) return
    // Signed where it is written, over the head it then follows.
    this.#waiting.push('')
    this.#schedule()
  }

  async #write(): Promise<void> {
    if (this.#waiting.length === 0) return
    let waiting: readonly string[] = []
    try {
      // Puts the record that the file begins with in front.
      if (this.#handle === null) await this.#open(this.#head)
      waiting = this.#waiting.splice(0, linesAtOnce)
      await this.#writeAll(waiting)
      if (this.#waiting.length > 0) this.#schedule()
    } catch (error) {
      this.#waiting.unshift(...waiting)
      this.#fail(error)
      this.#deps.clock.after(retryMs, () => {
        if (!this.#isClosed) this.#schedule()
      })
    }
  }

  async #writeAll(waiting: readonly string[]): Promise<void> {
    const lines = this.#lost
    const lost = { ts: this.#now(), evt: 'audit.lost', lines }
    const all = lines > 0 ? [...waiting, JSON.stringify(lost)] : waiting
    const { text, head, unsigned } = this.#compose(all)
    await this.#append(text)
    this.#head = head
    this.#unsigned = unsigned
    // More may have been lost while these were written.
    this.#lost -= lines
    this.waitingBytes = this.#waiting.reduce((sum, json) => sum + json.length, 0)
  }

  #compose(waiting: readonly string[]): { text: string; head: Head; unsigned: number } {
    let head = this.#head
    let unsigned = this.#unsigned
    const lines = waiting.map((json) => {
      const record = append(head, json === '' ? this.#signature(head) : json)
      unsigned = json === '' ? 0 : unsigned + 1
      ;({ head } = record)
      return record.line
    })
    return { text: lines.join(''), head, unsigned }
  }

  /** All of `text` or none of it: what was written in part is taken back. */
  async #append(text: string): Promise<void> {
    const handle = this.#handle
    if (handle === null) throw new Error('the file is not open')
    const { size } = await handle.stat()
    try {
      await handle.appendFile(text)
    } catch (error) {
      await handle.truncate(size).catch(() => {}) // the next start cuts an unfinished line
      throw error
    }
  }

  #signature(head: Head): string {
    const key = this.#key
    if (key === null) return '{}'
    const signed = { evt: 'audit.signature', key: keyIdOf(key), signature: signHead(head, key) }
    return JSON.stringify({ ts: this.#now(), ...signed })
  }

  #fail(error: unknown): void {
    this.failures += 1
    this.#warn(`cannot be written, lines wait in memory: ${messageOf(error)}`)
  }

  #warn(what: string): void {
    const elapsed = this.#deps.clock.elapsed()
    if (elapsed - this.#warnedAt < warnEveryMs) return
    this.#warnedAt = elapsed
    this.#deps.log.warn(`audit file: ${this.#path} ${what} (extensions.audit)`)
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** The last record, checked against the one before it, and what stands after its newline. */
async function readTail(
  handle: FileHandle,
  size: number,
): Promise<{ readonly head: Head; readonly partialBytes: number }> {
  const length = Math.min(size, tailBytes)
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length)
  const end = buffer.lastIndexOf(0x0a) + 1
  const partialBytes = length - end
  const lines = buffer.subarray(0, end).toString().split('\n').slice(0, -1)
  const last = parse(lines.at(-1) ?? '')
  const before = parse(lines.at(-2) ?? '')
  if (last === null || (last.sequence > 1 && before !== null && !follows(before, last))) {
    throw new Error('its last line does not follow the one before it; keep it and begin a new file')
  }
  return { head: last, partialBytes }
}
