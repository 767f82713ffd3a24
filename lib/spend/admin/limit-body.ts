/**
 * Reads the body of `POST /v1/organizations/spend_limits`. The first thing that is wrong is
 * answered, in the reference's words; what is unknown is ignored. Pure.
 */
import { type PeriodName, periodNames } from '../period.ts'
import { invalid } from './answer.ts'

export type ScopeType = 'user' | 'rbac_group' | 'organization'

export interface Scope {
  readonly type: ScopeType
  /** Empty for the organization. */
  readonly id: string
}

export interface PoolChange {
  readonly amount: bigint
  readonly paused: boolean
}

export interface LimitBody {
  readonly scope: Scope
  /** Cents; null: unlimited. */
  readonly amount: bigint | null
  readonly period: PeriodName
  /** Undefined: the pool stays as it is; null: there is none any more. */
  readonly pool: PoolChange | null | undefined
}

type Json = Readonly<Record<string, unknown>>

export function readLimitBody(bytes: Uint8Array): LimitBody {
  const body = objectAt('', parse(bytes))
  const scope = readScope(field(body, 'scope'))
  const amount = readAmount('amount', field(body, 'amount'), true)
  const period = readPeriod(field(body, 'period'))
  readCurrency('currency', field(body, 'currency'))
  const pool = readPool(field(body, 'pooled_budget'))
  checkPool(pool, scope, period)
  return { scope, amount, period, pool }
}

/** The pool that results, and the one rule that needs the amount beside it. */
export function checkPoolAmount(pool: PoolChange | null, amount: bigint | null): void {
  if (pool === null || pool.paused || amount !== null) return
  invalid(
    "A pooled budget that isn't paused needs amount (each member's own limit) on the same spend limit. Set amount; it may equal pooled_budget.amount.",
  )
}

function parse(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return value
  } catch {
    return invalid('invalid JSON body')
  }
}

/** Own members only: `__proto__` in a body is a member like any other. */
function field(body: Json, key: string): unknown {
  return Object.hasOwn(body, key) ? body[key] : undefined
}

function readScope(value: unknown): Scope {
  const scope = objectAt('scope', value)
  const type = field(scope, 'type')
  switch (type) {
    case 'organization':
      return { type, id: '' }
    case 'user':
      return { type, id: readId('scope.user_id', field(scope, 'user_id')) }
    case 'rbac_group':
      return { type, id: readId('scope.rbac_group_id', field(scope, 'rbac_group_id')) }
    default:
      return invalid(
        "scope.type: Invalid discriminator value. Expected 'user' | 'rbac_group' | 'organization'",
      )
  }
}

/** No principal or group has a longer name; it is stored and shown. */
const idMaxLength = 1024

function readId(path: string, value: unknown): string {
  const id = stringAt(path, value)
  if (id === '') invalid(`${path}: String must contain at least 1 character(s)`)
  if (id.length > idMaxLength) {
    invalid(`${path}: String must contain at most ${idMaxLength} character(s)`)
  }
  if (id.includes('\u0000') || !id.isWellFormed()) {
    invalid(`${path}: must not contain NUL or unpaired surrogates`)
  }
  return id
}

function readAmount(path: string, value: unknown, required: boolean): bigint | null {
  if (value === null || (value === undefined && !required)) return null
  const amount = stringAt(path, value)
  // 18 digits are what a bigint column holds whatever they are.
  if (!/^\d{1,18}$/.test(amount)) {
    invalid(`${path}: must be a whole-number decimal string of cents`)
  }
  return BigInt(amount)
}

function readPeriod(value: unknown): PeriodName {
  if (value === undefined) return 'monthly'
  const expected = periodNames.map((name) => `'${name}'`).join(' | ')
  if (typeof value !== 'string')
    return invalid(`period: Expected ${expected}, received ${kindOf(value)}`)
  const period = periodNames.find((name) => name === value)
  return period ?? invalid(`period: Invalid enum value. Expected ${expected}, received '${value}'`)
}

function readCurrency(path: string, value: unknown): void {
  if (value !== undefined && value !== 'USD') {
    invalid(`${path}: Invalid literal value, expected "USD"`)
  }
}

function readPool(value: unknown): PoolChange | null | undefined {
  if (value === undefined || value === null) return value
  const pool = objectAt('pooled_budget', value)
  const amount = readAmount('pooled_budget.amount', field(pool, 'amount'), false)
  const paused = field(pool, 'paused')
  if (paused !== undefined && typeof paused !== 'boolean') {
    invalid(`pooled_budget.paused: Expected boolean, received ${kindOf(paused)}`)
  }
  readCurrency('pooled_budget.currency', field(pool, 'currency'))
  // A pool of nothing would block everybody; it is kept, but not in force.
  return amount === null ? null : { amount, paused: paused === true || amount === 0n }
}

function checkPool(pool: PoolChange | null | undefined, scope: Scope, period: PeriodName): void {
  if (pool === null || pool === undefined) return
  if (scope.type !== 'rbac_group') {
    invalid('Pooled budget fields can only be set on a group-level limit')
  }
  if (period !== 'monthly') {
    invalid("Pooled budgets are monthly only. Set pooled fields on the group's monthly limit.")
  }
}

function objectAt(path: string, value: unknown): Json {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject) return wrongKind(path, 'object', value)
  // The parse boundary: an object of JSON is a record of its members.
  return value as Json
}

function stringAt(path: string, value: unknown): string {
  return typeof value === 'string' ? value : wrongKind(path, 'string', value)
}

function wrongKind(path: string, expected: string, value: unknown): never {
  const place = path === '' ? '' : `${path}: `
  return value === undefined
    ? invalid(`${place}Required`)
    : invalid(`${place}Expected ${expected}, received ${kindOf(value)}`)
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
