/**
 * The contract of the database for the features that write SQL. Every call is bounded: a
 * Postgres that hangs costs the caller its own deadline, never more, and fails with
 * `GatewayError('store/unavailable')`, whose cause is the driver's error.
 */
export interface QueryOptions {
  /** Pool wait, connect and statement together. */
  readonly timeoutMs: number
}

export interface QueryResult<Row> {
  readonly rows: readonly Row[]
  /** Rows touched, for statements that return none. */
  readonly count: number
}

export interface Queryable {
  query<Row = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>>
}

export interface Store {
  query<Row = Record<string, unknown>>(
    text: string,
    values: readonly unknown[],
    options: QueryOptions,
  ): Promise<QueryResult<Row>>
  /** BEGIN … COMMIT on one connection; rolled back when `work` throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>, options: QueryOptions): Promise<T>
  /** Connections as they are now. */
  connections(): {
    readonly open: number
    readonly idle: number
    readonly waiting: number
    readonly max: number
  }
  /** True when the database answered within `timeoutMs`. Never throws. */
  answers(timeoutMs: number): Promise<boolean>
  close(): Promise<void>
}

/** Short-lived state shared by all replicas (table `kv`, wire/edge/schema). */
export interface Kv {
  get(key: string): Promise<string | null>
  set(key: string, value: string, ttlSeconds: number): Promise<void>
  /** Deletes and returns in one statement: of any number of parallel takers one gets the value. */
  take(key: string): Promise<string | null>
  /** Replaces the value only while it is still `expected`; tells whether it did. */
  replace(key: string, expected: string, value: string, ttlSeconds: number): Promise<boolean>
  /** Sets the key only when it is absent or expired; tells whether it did. */
  claim(key: string, value: string, ttlSeconds: number): Promise<boolean>
  delete(key: string): Promise<void>
}

export interface RateVerdict {
  readonly allowed: boolean
  /** Whole seconds until the window ends, at least 1. */
  readonly retryAfterSeconds: number
}

/** Fixed windows counted in `kv`, shared by all replicas; refusals keep counting. */
export interface RateLimit {
  hit(key: string, max: number, windowSeconds: number): Promise<RateVerdict>
}
