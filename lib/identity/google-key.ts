/**
 * The key file of a Google service account, as its console hands it out. Read when the
 * configuration is checked and again for every new token. No text it returns may quote the file.
 */
import type { KeyObject } from 'node:crypto'
import { parsePrivateKey, type Parsed } from '../schema/certificate.ts'
import { asString, parseObject } from './json-object.ts'

export interface GoogleKey {
  readonly client_email: string
  readonly privateKey: KeyObject
  /** Tells Google which of the account's keys signed. */
  readonly private_key_id: string | undefined
}

/** What was found instead completes the sentence "found …". */
export function parseGoogleKey(text: string): Parsed<GoogleKey> {
  const file = parseObject(text)
  const pem = asString(file?.['private_key'])
  const client_email = asString(file?.['client_email'])
  if (pem === undefined || client_email === undefined || client_email === '') {
    return { kind: 'bad', found: 'no JSON object with private_key and client_email' }
  }
  const key = parsePrivateKey(pem)
  if (key.kind === 'bad') return { kind: 'bad', found: `${key.found} as its private_key` }
  if (key.value.asymmetricKeyType !== 'rsa') {
    return { kind: 'bad', found: 'a private_key that is no RSA key' }
  }
  const private_key_id = asString(file?.['private_key_id'])
  return { kind: 'ok', value: { client_email, privateKey: key.value, private_key_id } }
}
