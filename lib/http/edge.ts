/**
 * The order in which a request is checked before a handler sees it. The order is part of the
 * protocol: it decides which refusal a client gets when several apply.
 */
import type { Caller } from '../kernel/caller.ts'
import { fail, statusOf } from '../kernel/errors.ts'
import type { AccessControl } from './access-control.ts'
import type { Exchange, Reply } from './exchange.ts'
import type { ExactRoute, Router } from './router.ts'
import type { ServedExchange } from './served-exchange.ts'

export interface EdgeParts {
  readonly router: Router
  readonly access: AccessControl
  /** Says once that a client on a public address reached the gateway. */
  readonly noticePublicClient: (exchange: ServedExchange) => void
  /** Throws the refusal of a limit that the head of the request breaks. */
  readonly checkLimits: (exchange: ServedExchange) => void
  /** The caller of a valid session; throws `session/invalid-token`. */
  readonly authenticate: (exchange: Exchange) => Promise<Caller> | Caller
  /** Told of every answer: the path or prefix in the route table, or `other`, and the status. */
  readonly observe?: ((route: string, status: number) => void) | undefined
}

export type Edge = (exchange: ServedExchange) => Promise<Reply>

export function createEdge(parts: EdgeParts): Edge {
  const { router, observe } = parts
  const find = ({ method, path }: ServedExchange): ExactRoute | undefined =>
    router.find(method, path)
  const answer = createAnswer(parts)
  if (observe === undefined) return (exchange) => answer(exchange, find(exchange))
  return async (exchange) => {
    const route = find(exchange)
    // What is not found by its method may be a path all the same: rare enough to look again.
    const tell = (status: number): void =>
      observe(route?.path ?? router.placeOf(exchange.path), status)
    try {
      const reply = await answer(exchange, route)
      tell(reply.status)
      return reply
    } catch (error) {
      tell(statusOf(error))
      throw error
    }
  }
}

function createAnswer(
  parts: EdgeParts,
): (exchange: ServedExchange, route: ExactRoute | undefined) => Promise<Reply> {
  const { router, access, noticePublicClient, checkLimits, authenticate } = parts
  return async (exchange, route) => {
    noticePublicClient(exchange)
    access.refuseDenied(exchange)
    if (route?.access === 'health') return route.handle(exchange)
    access.refuseNotAllowed(exchange)
    checkLimits(exchange)
    if (route?.access === 'open') return route.handle(exchange)
    const admin = router.findAdmin(exchange.path)
    if (admin !== undefined) return admin.handle(exchange)
    const known = authenticate(exchange)
    const caller = known instanceof Promise ? await known : known
    // Only a caller learns which paths exist: without a session every path is 401.
    if (route === undefined) fail('http/not-found')
    return route.handle(exchange, caller)
  }
}
