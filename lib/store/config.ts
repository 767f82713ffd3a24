/**
 * `store`: the database. Read by the configuration loader; the checked values go to the pool.
 * The URL and the password are secrets: no text here repeats any part of them.
 */
import { convert } from '../schema/combine.ts'
import { block, defaulted, type Keys, optional, required } from '../schema/field.ts'
import { form, secret, text, wholeNumber } from '../schema/value.ts'

export interface StoreConfig {
  readonly postgres_url: string
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly max_connections: number
  readonly connect_timeout_seconds: number
  readonly readiness_grace_seconds: number
}

const postgresUrl = form(/^postgres(ql)?:\/\/./, 'a postgres:// or postgresql:// URL', 'secret')

/** An empty variable means the URL's own. */
const unlessEmpty = (text: string): string | undefined => (text === '' ? undefined : text)

const store = block<StoreConfig>({
  postgres_url: required(postgresUrl, 'The database: host, port, database name and sslmode.'),
  username: optional(
    convert(text(0), unlessEmpty),
    'Role to sign in with, instead of the one in the URL.',
  ),
  password: optional(
    convert(secret(0), unlessEmpty),
    'Password of the role, instead of the one in the URL.',
  ),
  max_connections: defaulted(wholeNumber(1), 'Connections of one replica at most.', 5),
  connect_timeout_seconds: defaulted(
    wholeNumber(1, 60),
    'Longest wait for one connection attempt, in seconds.',
    5,
  ),
  readiness_grace_seconds: defaulted(
    wholeNumber(0, 3600),
    'How long /readyz stays 200 after the database stopped answering, in seconds.',
    0,
  ),
})

export const storeKeys: Keys<{ readonly store: StoreConfig }> = {
  store: required(store, 'The PostgreSQL database that all replicas share.'),
}
