/**
 * The Admin API as one handler: who is asking, what for, and how it went, for everything below
 * `/v1/organizations/spend_limits` and `/v1/organizations/analytics/cost`.
 */
import type { Exchange, Handler, Reply } from '../../http/exchange.ts'
import type { Clock } from '../../kernel/clock.ts'
import { GatewayError } from '../../kernel/errors.ts'
import type { Audit, Log } from '../../kernel/log.ts'
import type { Store } from '../../store/store.ts'
import type { AdminConfig } from '../config.ts'
import { AdminError, answer, createRequestId, refusal } from './answer.ts'
import { readAuditLog } from './audit-log.ts'
import { readCostReport } from './cost-report.ts'
import {
  type Actor,
  type Credentials,
  createCredentials,
  type VerifySession,
} from './credentials.ts'
import { readEffective } from './effective.ts'
import { readLimitBody } from './limit-body.ts'
import { createLimits, type Limits } from './limits.ts'
import { readQuery } from './query.ts'

export const spendLimitsPath = '/v1/organizations/spend_limits'
export const costReportPath = '/v1/organizations/analytics/cost'

export interface AdminApiDeps {
  readonly store: Store
  readonly verifySession: VerifySession
  readonly capsChanged: (revision: bigint) => void
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

/** A limit is some hundred bytes. */
const bodyBytesMax = 64 * 1024

export function createAdminApi(deps: AdminApiDeps, config: AdminConfig): Handler {
  const { log } = deps
  const credentials = createCredentials(config, deps.verifySession)
  const limits = createLimits({ ...deps, now: () => deps.clock.now() })
  return async (exchange) => {
    const requestId = createRequestId()
    const reply = await respond(exchange, requestId, { ...deps, config, credentials, limits })
    log.info(`admin ${exchange.method} ${exchange.path} -> ${reply.status} (${requestId})`)
    return reply
  }
}

interface Parts extends AdminApiDeps {
  readonly config: AdminConfig
  readonly credentials: (exchange: Exchange) => Promise<Credentials>
  readonly limits: Limits
}

async function respond(exchange: Exchange, requestId: string, parts: Parts): Promise<Reply> {
  try {
    const actor = await authenticate(exchange, parts)
    const value = await dispatch(exchange, actor, parts)
    return answer(value, requestId, exchange.method === 'GET')
  } catch (error) {
    if (error instanceof AdminError) return refusal(error, requestId)
    if (error instanceof GatewayError && error.code === 'store/unavailable') {
      parts.log.warn(`admin: the database did not answer (${requestId}): ${error.detail ?? ''}`)
      return refusal(new AdminError('api_error', 'store unavailable'), requestId)
    }
    throw error
  }
}

async function authenticate(exchange: Exchange, parts: Parts): Promise<Actor> {
  const found = await parts.credentials(exchange)
  if (found.kind === 'denied') {
    const { method, path, clientAddress } = exchange
    parts.audit('admin.denied', { reason: found.reason, method, path, client_ip: clientAddress })
    throw new AdminError('authentication_error', 'missing or invalid admin credentials')
  }
  const writes = exchange.method === 'POST' || exchange.method === 'DELETE'
  if (writes && !found.actor.mayWrite) {
    throw new AdminError('permission_error', 'requires write:spend_limits')
  }
  return found.actor
}

function dispatch(exchange: Exchange, actor: Actor, parts: Parts): Promise<unknown> {
  const { method, path } = exchange
  const query = readQuery(exchange.query)
  const { store, clock } = parts
  if (path === costReportPath && method === 'GET') return readCostReport(query, store, clock.now())
  if (path.startsWith(costReportPath)) throw new AdminError('not_found_error', 'not found')
  const below = path.slice(spendLimitsPath.length)
  switch (`${method} ${below}`) {
    case 'GET ':
      return parts.limits.list(query)
    case 'POST ':
      return put(exchange, actor, parts)
    case 'GET /effective': {
      const mode = parts.config.group_limit_mode
      return readEffective(query, { store, mode, now: () => clock.now() })
    }
    case 'GET /audit':
      return readAuditLog(query, store)
    default:
  }
  const id = below.slice(1)
  if (method === 'GET') return parts.limits.get(id)
  if (method === 'DELETE') return parts.limits.remove(id, actor)
  throw new AdminError('not_found_error', 'not found')
}

async function put(exchange: Exchange, actor: Actor, { limits }: Parts): Promise<unknown> {
  return limits.put(readLimitBody(await exchange.readBody(bodyBytesMax)), actor)
}
