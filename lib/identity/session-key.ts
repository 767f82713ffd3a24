/**
 * The keys that come of `session.jwt_secret`: one to sign sessions, and one per purpose to seal
 * what the gateway hands out and reads back. Secrets stay inside this file's key objects.
 */
import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

export interface SessionKey {
  /** First 16 hex digits of SHA-256 over the secret string; names the key on the wire. */
  readonly kid: string
  readonly signing: KeyObject
  /** 32 bytes for AES-256-GCM, another for every purpose. */
  sealing(purpose: string): Uint8Array
}

/** In the order of the configuration: the first signs and seals, all verify and open. */
export function createSessionKeys(secrets: readonly string[]): readonly SessionKey[] {
  return secrets.map((secret) => ({
    kid: createHash('sha256').update(secret).digest('hex').slice(0, 16),
    signing: createSecretKey(Buffer.from(secret)),
    // HKDF (RFC 5869) keeps the purposes apart: a sealed grant can never be opened as a state,
    // and neither key says anything about the signing key.
    sealing: (purpose) =>
      new Uint8Array(hkdfSync('sha256', secret, '', `apps-gateway ${purpose}`, 32)),
  }))
}
