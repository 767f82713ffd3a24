/**
 * The body of a POST to the Admin API, checked field by field in the order and with the words of
 * the reference: scripts compare them. Only the first mistake is named.
 */
import { type PeriodName, periodNames } from '../period.ts'
import { refuse } from './query.ts'

export type ScopeType = 'user' | 'rbac_group' | 'organization'

export interface LimitRequest {
  readonly scopeType: ScopeType
  /** Empty for the organization. */
  readonly scopeId: string
  /**
   * Whole cents as digits, exact beyond what a double holds; null: unlimited. Absent beside changes
   * of the shared budget: it stays as it is.
   */
  readonly amount: string | null | undefined
  readonly period: PeriodName
  /** Absent: whatever shared budget there is stays. */
  readonly pool: PoolRequest | undefined
}

/** Absent fields stay as they are. */
export interface PoolRequest {
  /** Null: no shared budget any more. */
  readonly amount: string | null | undefined
  readonly paused: boolean | undefined
}

type JsonObject = Readonly<Record<string, unknown>>

/** PostgreSQL's bigint has room for 18 digits whatever they are. */
const amountForm = /^\d{1,18}$/
/** An index entry of PostgreSQL holds 2,704 bytes; names of people and groups are far shorter. */
const idBytesMax = 2000

export function readLimitRequest(body: Uint8Array): LimitRequest {
  const fields = objectAt('', parse(body))
  const { scopeType, scopeId } = readScope(fields['scope'])
  const amount = readAmount('amount', fields['amount'])
  const period = readPeriod(fields['period'])
  readCurrency('currency', fields['currency'])
  const pool = readPool(fields['pooled_budget'])
  if (amount === undefined && pool === undefined) refuse('amount: Required')
  checkPool(scopeType, period, pool)
  return { scopeType, scopeId, amount, period, pool }
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return refuse('invalid JSON body')
  }
}

function readScope(value: unknown): Pick<LimitRequest, 'scopeType' | 'scopeId'> {
  const scope = objectAt('scope', value)
  switch (scope['type']) {
    case 'organization':
      return { scopeType: 'organization', scopeId: '' }
    case 'user':
      return { scopeType: 'user', scopeId: readId('scope.user_id', scope['user_id']) }
    case 'rbac_group': {
      const scopeId = readId('scope.rbac_group_id', scope['rbac_group_id'])
      return { scopeType: 'rbac_group', scopeId }
    }
    default:
      return refuse(
        "scope.type: Invalid discriminator value. Expected 'user' | 'rbac_group' | 'organization'",
      )
  }
}

function readId(path: string, value: unknown): string {
  const id = textAt(path, value)
  if (id === '') refuse(`${path}: String must contain at least 1 character(s)`)
  if (id.includes('\0')) refuse(`${path}: must not contain a NUL character`)
  if (!id.isWellFormed()) refuse(`${path}: must not contain half of a character`)
  if (Buffer.byteLength(id) > idBytesMax) refuse(`${path}: must be at most ${idBytesMax} bytes`)
  return id
}

function readAmount(path: string, value: unknown): string | null | undefined {
  if (value === null || value === undefined) return value
  const amount = textAt(path, value)
  if (!amountForm.test(amount)) refuse(`${path}: must be a whole-number decimal string of cents`)
  return String(BigInt(amount))
}

function readPeriod(value: unknown): PeriodName {
  if (value === undefined) return 'monthly'
  const words = "'daily' | 'weekly' | 'monthly'"
  if (typeof value !== 'string') {
    return refuse(`period: Expected ${words}, received ${kindOf(value)}`)
  }
  const received = value.slice(0, 100)
  return (
    periodNames.find((name) => name === value) ??
    refuse(`period: Invalid enum value. Expected ${words}, received '${received}'`)
  )
}

function readCurrency(path: string, value: unknown): void {
  if (value !== undefined && value !== 'USD') {
    refuse(`${path}: Invalid literal value, expected "USD"`)
  }
}

function readPool(value: unknown): PoolRequest | undefined {
  // As on the reference null says nothing; an amount of null is what removes.
  if (value === undefined || value === null) return undefined
  const pool = objectAt('pooled_budget', value)
  const amount = readAmount('pooled_budget.amount', pool['amount'])
  const paused = pool['paused'] ?? undefined
  if (paused !== undefined && typeof paused !== 'boolean') {
    refuse(`pooled_budget.paused: Expected boolean, received ${kindOf(paused)}`)
  }
  readCurrency('pooled_budget.currency', pool['currency'])
  return { amount, paused }
}

/** What asks for no shared budget is allowed on every limit. */
function checkPool(scopeType: ScopeType, period: PeriodName, pool: PoolRequest | undefined): void {
  if (pool === undefined) return
  const asksForOne = (pool.amount ?? null) !== null || pool.paused === false
  if (!asksForOne) return
  if (scopeType !== 'rbac_group') {
    refuse('Pooled budget fields can only be set on a group-level limit')
  }
  if (period !== 'monthly') {
    refuse("Pooled budgets are monthly only. Set pooled fields on the group's monthly limit.")
  }
}

function objectAt(path: string, value: unknown): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  if (value === undefined) return refuse(`${path}: Required`)
  const problem = `Expected object, received ${kindOf(value)}`
  return refuse(path === '' ? problem : `${path}: ${problem}`)
}

function textAt(path: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (value === undefined) return refuse(`${path}: Required`)
  return refuse(`${path}: Expected string, received ${kindOf(value)}`)
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
