/**
 * The store's contract on a bounded set of connections. Every call has one deadline for all of
 * its steps; a statement that outlives it is cancelled and its connection destroyed, so that a
 * Postgres that hangs can neither hold a caller nor poison the next call.
 */
import pg from 'pg'
import type { Clock } from '../kernel/clock.ts'
import { GatewayError, messageOf } from '../kernel/errors.ts'
import { cancelStatement } from './cancel.ts'
import type { Connection } from './connection.ts'
import { Connections, type ConnectionsConfig } from './connections.ts'
import { createDeadline, type Deadline } from './deadline.ts'
import type { Queryable, QueryResult, Store } from './store.ts'

/** A rollback is one round trip; a server that cannot do it in this time has the connection cut. */
const rollbackMs = 1000

/** A connection in the hands of one call. */
interface Loan {
  readonly connection: Connection
  readonly deadline: Deadline
  /** Set by whatever shows that the connection must not be used again. */
  broken: boolean
}

/** The store. It opens nothing before the first call. */
export function createStore(config: ConnectionsConfig): Store {
  const { clock } = config
  const connections = new Connections(config)
  let lastAnswerAt = clock.elapsed()

  const lend = async <T>(timeoutMs: number, work: (loan: Loan) => Promise<T>): Promise<T> => {
    const deadline = createDeadline(clock, timeoutMs, 'the database call')
    try {
      const connection = await connections.acquire(deadline).catch(failUnavailable)
      const loan = { connection, deadline, broken: false }
      try {
        return await work(loan)
      } finally {
        if (deadline.isOver()) cancelStatement(connection.client)
        if (loan.broken || deadline.isOver()) {
          connections.discard(connection)
        } else {
          lastAnswerAt = clock.elapsed()
          connections.release(connection)
        }
      }
    } finally {
      deadline.cancel()
    }
  }

  return {
    query: (text, values, { timeoutMs }) => lend(timeoutMs, (loan) => run(loan, text, values)),
    transaction: (work, { timeoutMs }) => lend(timeoutMs, (loan) => transact(loan, work, clock)),
    async answers(timeoutMs) {
      const startedAt = clock.elapsed()
      try {
        await lend(timeoutMs, (loan) => run(loan, 'SELECT 1', []))
        return true
      } catch {
        // With every connection busy the probe gets none, but the busy ones are answered.
        return lastAnswerAt > startedAt
      }
    },
    connections: () => connections.figures,
    close: () => Promise.resolve(connections.close()),
  }
}

async function run<Row>(
  loan: Loan,
  text: string,
  values: readonly unknown[],
): Promise<QueryResult<Row> & { readonly command: string }> {
  try {
    const result = await loan.deadline.bound(loan.connection.client.query(text, [...values]))
    // The parse boundary: the caller's type says what its SQL selects.
    return { rows: result.rows as Row[], count: result.rowCount ?? 0, command: result.command }
  } catch (error) {
    // A refused statement leaves the session in order; a fatal error and a lost socket do not.
    loan.broken ||= !(error instanceof pg.DatabaseError && error.severity === 'ERROR')
    return failUnavailable(error)
  }
}

async function transact<T>(
  loan: Loan,
  work: (tx: Queryable) => Promise<T>,
  clock: Clock,
): Promise<T> {
  await run(loan, 'BEGIN', [])
  let ended = false
  const tx: Queryable = {
    query(text, values = []) {
      if (ended) return Promise.reject(new Error('the transaction has ended already'))
      return run(loan, text, values)
    },
  }
  try {
    const result = await loan.deadline.bound(work(tx))
    ended = true
    const { command } = await run(loan, 'COMMIT', [])
    // Postgres answers so when a statement failed and the work went on regardless.
    if (command !== 'COMMIT') failUnavailable(new Error('the transaction was rolled back'))
    return result
  } catch (error) {
    ended = true
    if (loan.deadline.isOver()) return failUnavailable(error)
    if (!loan.broken) await rollBack(loan, clock)
    throw error
  }
}

async function rollBack(loan: Loan, clock: Clock): Promise<void> {
  const deadline = createDeadline(clock, rollbackMs, 'the rollback')
  try {
    await run({ ...loan, deadline }, 'ROLLBACK', [])
  } catch {
    loan.broken = true // and with the connection its transaction goes
  } finally {
    deadline.cancel()
  }
}

/** What the store itself could not do; refusals and mistakes of the caller's own work pass by. */
function failUnavailable(error: unknown): never {
  if (error instanceof GatewayError && error.code === 'store/unavailable') throw error
  const detail = messageOf(error)
  throw new GatewayError('store/unavailable', { detail, cause: error })
}
