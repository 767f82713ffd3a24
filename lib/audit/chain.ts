/**
 * The form of the audit file: one record a line, each holding the hash of the one before, so that
 * no line can be changed, left out or moved without all later ones saying so. Heads are signed
 * now and then; a signature covers everything up to it. Pure.
 *
 *     <sequence> <hash> <JSON>
 *
 * with hash = SHA-256, hex, over `<hash of the record before> <sequence> <JSON>`. The first record
 * of the first file follows 64 zeros; that of a file after a rotation follows the last one of the
 * file before.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

export interface Head {
  readonly sequence: number
  readonly hash: string
}

export interface Record extends Head {
  /** The JSON text as it stands in the line. */
  readonly json: string
}

export const genesis: Head = { sequence: 0, hash: '0'.repeat(64) }

/** The next record, as a line with its newline, and the head it makes. */
export function append(head: Head, json: string): { readonly line: string; readonly head: Head } {
  const sequence = head.sequence + 1
  const hash = hashOf(head.hash, sequence, json)
  return { line: `${sequence} ${hash} ${json}\n`, head: { sequence, hash } }
}

/**
 * The record of a line without its newline, null when it is none. Says nothing of its hash. What
 * a client sends may hold U+2028, which JSON leaves as it is and a plain `.` does not match.
 */
export function parse(line: string): Record | null {
  const [, sequence = '', hash = '', json = ''] =
    /^(\d{1,15}) ([0-9a-f]{64}) (\{.*\})$/s.exec(line) ?? []
  return hash === '' ? null : { sequence: Number(sequence), hash, json }
}

/** Whether `record` is what `append` makes after `before`. */
export function follows(before: Head, { sequence, hash, json }: Record): boolean {
  return sequence === before.sequence + 1 && hash === hashOf(before.hash, sequence, json)
}

/** Ed25519 signs as it is; other keys sign the SHA-256. */
export function signHead({ sequence, hash }: Head, key: KeyObject): string {
  return sign(digestOf(key), Buffer.from(`${sequence} ${hash}`), key).toString('base64')
}

export function isSigned({ sequence, hash }: Head, signature: string, key: KeyObject): boolean {
  const data = Buffer.from(`${sequence} ${hash}`)
  return verify(digestOf(key), data, key, Buffer.from(signature, 'base64'))
}

/** The first half of the SHA-256 of the public key: says which key signed. */
export function keyIdOf(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(der).digest('hex').slice(0, 32)
}

function digestOf({ asymmetricKeyType }: KeyObject): 'sha256' | null {
  return asymmetricKeyType === 'ed25519' || asymmetricKeyType === 'ed448' ? null : 'sha256'
}

function hashOf(before: string, sequence: number, json: string): string {
  return createHash('sha256').update(`${before} ${sequence} ${json}`).digest('hex')
}
