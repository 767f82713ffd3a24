/**
 * Sealed text: what leaves the gateway (the `state` of a sign-in) or lies in the database (a
 * device grant) and must come back unread and unchanged. Compact JWE, `dir` with A256GCM; the
 * `kid` is the session key's, so that rotating secrets keeps running sign-ins alive.
 */
import { CompactEncrypt, compactDecrypt } from 'jose'
import type { SessionKey } from './session-key.ts'

export interface Seal {
  seal(text: string): Promise<string>
  /** Null when it was made by nobody we know, for another purpose, or was changed. */
  open(sealed: string): Promise<string | null>
}

/**
 * Longest sealed text opened. Ours hold a few hundred bytes, grants up to a few hundred groups
 * and a refresh token; the cap only keeps strangers from having megabytes decrypted.
 */
const sealedLengthMax = 512 * 1024

const compactForm = /^[\w-]+\.\.[\w-]+\.[\w-]*\.[\w-]+$/

export function createSeal(keys: readonly SessionKey[], purpose: string): Seal {
  const known = keys.map((key) => ({ kid: key.kid, secret: key.sealing(purpose) }))
  const [current] = known
  if (current === undefined) throw new Error('sealing needs at least one key')
  return {
    seal: (text) =>
      new CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: current.kid })
        .encrypt(current.secret),
    async open(sealed) {
      if (sealed.length > sealedLengthMax || !compactForm.test(sealed)) return null
      try {
        const { plaintext } = await compactDecrypt(
          sealed,
          (header) => {
            const key = known.find(({ kid }) => kid === header.kid)
            if (key === undefined) throw new Error('sealed by an unknown key')
            return key.secret
          },
          { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] },
        )
        return new TextDecoder().decode(plaintext)
      } catch {
        // Whatever is wrong with it, it is not ours: the caller says so to the person.
        return null
      }
    },
  }
}
