/**
 * The Admin API as handlers for the route table: who may call, which call it is, and the envelope
 * and log line that every answer has. The calls themselves are the other files of this folder.
 */
import { randomUUID } from 'node:crypto'
import type { Exchange, Handler, Reply } from '../../http/exchange.ts'
import { errorReply, json } from '../../http/reply.ts'
import { ClientGone } from '../../kernel/abort.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fail, GatewayError, statusOf } from '../../kernel/errors.ts'
import type { Audit, Log } from '../../kernel/log.ts'
import type { Store } from '../../store/store.ts'
import type { AdminConfig } from '../config.ts'
import { periodsAt } from '../period.ts'
import { type Authorisation, createAuthorise, type VerifySession } from './authorise.ts'
import { deleteLimit, putLimit } from './change-limits.ts'
import { reportCost } from './cost-report.ts'
import { listEffective } from './effective.ts'
import { readLimitRequest } from './limit-request.ts'
import { getLimit, listAudit, listLimits } from './list-limits.ts'
import { Query } from './query.ts'
import { limitAudit, limitObject } from './spend-limit.ts'

export interface AdminDeps {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  readonly verifySession: VerifySession
  /** This replica changed caps; `revision` is what the change made of it. */
  readonly capsChanged: (revision: bigint) => void
}

export interface AdminHandlers {
  /** Everything at and below `limitsPath`. */
  readonly limits: Handler
  /** `costPath` alone. */
  readonly cost: Handler
}

export const limitsPath = '/v1/organizations/spend_limits'
export const costPath = '/v1/organizations/analytics/cost'

/** A cap is a few hundred bytes. */
const bodyBytesMax = 64 * 1024

type Granted = Extract<Authorisation, { kind: 'granted' }>
type Call = (exchange: Exchange, granted: Granted) => Promise<object>

export function createAdmin(deps: AdminDeps, config: AdminConfig): AdminHandlers {
  const { log, audit } = deps
  const authorise = createAuthorise(config, deps.verifySession)
  const handler = (call: Call): Handler => {
    const answer = async (exchange: Exchange): Promise<Reply> => {
      const granted = await authorise(exchange)
      if (granted.kind === 'denied') {
        const { method, path, clientAddress: client_ip } = exchange
        audit('admin.denied', { reason: granted.reason, method, path, client_ip })
        return fail('admin/unauthorized')
      }
      const body = await call(exchange, granted)
      return json(200, body, exchange.method === 'GET' ? [['Cache-Control', 'no-store']] : [])
    }
    return async (exchange) => {
      const id = `req_${randomUUID().replaceAll('-', '')}`
      const reply = await answer(exchange).catch((error: unknown) => refusalOf(error, id, log))
      log.info(`admin ${exchange.method} ${exchange.path} -> ${reply.status} (${id})`)
      return { ...reply, headers: [['request-id', id], ...reply.headers] }
    }
  }
  return { limits: handler(createLimitCalls(deps, config)), cost: handler(createCostCall(deps)) }
}

/** Whatever went wrong, in the envelope of this API; what is a bug goes to the log whole. */
function refusalOf(error: unknown, id: string, log: Log): Reply {
  if (error instanceof ClientGone) throw error
  if (!(error instanceof GatewayError)) {
    log.error(`unhandled request_id=${id}: ${error instanceof Error ? error.stack : String(error)}`)
    return errorReply(new GatewayError('http/internal'), id, 'admin')
  }
  if (statusOf(error) >= 500) {
    log.warn(`${error.code} request_id=${id} ${error.detail ?? ''}`.trimEnd())
  }
  return errorReply(error, id, 'admin')
}

function createLimitCalls(
  { store, clock, audit, capsChanged }: AdminDeps,
  config: AdminConfig,
): Call {
  const mode = config.group_limit_mode
  const month = (): string => periodsAt(clock.now()).monthly.key
  const put: Call = async (exchange, { actor }) => {
    const request = readLimitRequest(await exchange.readBody(bodyBytesMax))
    const changed = await putLimit({ store, actor, month: month() }, request)
    capsChanged(changed.revision)
    audit('admin.limit.upsert', { actor, ...limitAudit(changed.before, changed.after) })
    return limitObject(changed.after)
  }
  const remove = async (id: string, { actor }: Granted): Promise<object> => {
    const { before, revision } = await deleteLimit({ store, actor, month: month() }, id)
    capsChanged(revision)
    const { scope_type, scope_id, period } = before
    audit('admin.limit.delete', { actor, target: id, scope_type, scope_id, period })
    return { type: 'spend_limit_deleted', id }
  }
  const get = (exchange: Exchange, below: string): Promise<object> => {
    const query = new Query(exchange.query)
    switch (below) {
      case '':
        return listLimits(store, query, month())
      case '/effective':
        return listEffective(store, query, { periods: periodsAt(clock.now()), mode })
      case '/audit':
        return listAudit(store, query)
      default:
        return getLimit(store, below.slice(1), month())
    }
  }
  return async (exchange, granted) => {
    const { method, path } = exchange
    const below = path.slice(limitsPath.length)
    if (method === 'GET') return get(exchange, below)
    const isPut = method === 'POST' && below === ''
    const isDelete = method === 'DELETE' && below !== ''
    if (!isPut && !isDelete) return fail('admin/not-found')
    if (!granted.canWrite) return fail('admin/read-only')
    return isPut ? put(exchange, granted) : remove(below.slice(1), granted)
  }
}

function createCostCall({ store, clock }: AdminDeps): Call {
  return async ({ method, query }) => {
    if (method !== 'GET') return fail('admin/not-found')
    return reportCost(store, new Query(query), clock.now())
  }
}
