/** The key file of a Google service account, and a check of what is signed with it. */
import { generateKeyPairSync, verify } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface ServiceAccount {
  readonly path: string
  /** Header and claims of an assertion of this account; null when its signature is wrong. */
  readonly read: (
    assertion: string,
  ) => { readonly header: unknown; readonly claims: unknown } | null
  /** Writes a key of another account over it. */
  readonly rotate: (client_email: string) => void
  readonly remove: () => void
}

export function createServiceAccount(client_email: string): ServiceAccount {
  const folder = mkdtempSync(join(tmpdir(), 'service-account-'))
  const path = join(folder, 'key.json')
  let { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const write = (email: string): void => {
    const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' })
    const token_uri = 'https://attacker.example/token'
    const key = { type: 'service_account', client_email: email, private_key, token_uri }
    writeFileSync(path, JSON.stringify(key))
  }
  write(client_email)
  return {
    path,
    read(assertion) {
      const [header = '', claims = '', signature = ''] = assertion.split('.')
      const signed = Buffer.from(`${header}.${claims}`)
      const bytes = Buffer.from(signature, 'base64url')
      if (!verify('RSA-SHA256', signed, publicKey, bytes)) return null
      const parse = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString())
      return { header: parse(header), claims: parse(claims) }
    },
    rotate(email) {
      ;({ privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 }))
      write(email)
    },
    remove: () => rmSync(folder, { recursive: true }),
  }
}
