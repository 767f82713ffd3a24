/**
 * What a feature's configuration check says of the values it was given. The report knows the
 * file: it turns a key path into `file:line:column`. Checks name paths and facts only, and never
 * put a secret's value into a text.
 */
export type KeyPath = readonly (string | number)[]

export interface ConfigReport {
  /** A mistake that stops boot. `expected` completes the sentence "expected …". */
  error(
    path: KeyPath,
    problem: { expected: string; found?: string; nearest?: readonly string[] },
  ): void
  /** Odd, risky or without effect, but boots. */
  warn(path: KeyPath, text: string): void
}

/** The environment, as a value: only bin reads `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>
