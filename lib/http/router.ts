/**
 * The route table's type and the look-up in it. A path matches exactly, case included; there are
 * no parameters, because the protocol has none outside the admin prefix. Order of checks and
 * authentication are `edge.ts`'s; the table itself is the composition root's.
 */
import type { CallerHandler, Handler } from './exchange.ts'

export type Method = 'GET' | 'GET+HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'ANY'

interface Place {
  readonly method: Method
  readonly path: string
}

/** Answered before the allow list and the limits: probes come from wherever the platform runs. */
interface HealthRoute extends Place {
  readonly access: 'health'
  readonly handle: Handler
}

/** Answered without a session. */
interface OpenRoute extends Place {
  readonly access: 'open'
  readonly handle: Handler
}

/** Answered to a verified caller only. */
interface CallerRoute extends Place {
  readonly access: 'caller'
  readonly handle: CallerHandler
}

/** Whatever the method, with the handler's own keys and its own error envelope. */
interface AdminRoute {
  readonly access: 'admin'
  /** Without a trailing slash; matches itself and, with `below`, whatever follows a slash. */
  readonly prefix: string
  readonly below: boolean
  readonly handle: Handler
}

export type ExactRoute = HealthRoute | OpenRoute | CallerRoute
export type Route = ExactRoute | AdminRoute

export interface Router {
  find(method: string, path: string): ExactRoute | undefined
  findAdmin(path: string): AdminRoute | undefined
  /** The path or prefix that has a row for `path`, whatever the method; `other` without one. */
  placeOf(path: string): string
}

/** Throws when two rows claim one method and path: the second could never be reached. */
export function createRouter(routes: readonly Route[]): Router {
  const byPath = new Map<string, Map<string, ExactRoute>>()
  const admin: AdminRoute[] = []
  for (const route of routes) {
    if (route.access === 'admin') admin.push(route)
    else add(byPath, route)
  }
  const findAdmin = (path: string): AdminRoute | undefined =>
    admin.find(({ prefix, below }) => path === prefix || (below && path.startsWith(`${prefix}/`)))
  return {
    find(method, path) {
      const methods = byPath.get(path)
      return methods?.get(method) ?? methods?.get('ANY')
    },
    findAdmin,
    placeOf: (path) => (byPath.has(path) ? path : (findAdmin(path)?.prefix ?? 'other')),
  }
}

function add(byPath: Map<string, Map<string, ExactRoute>>, route: ExactRoute): void {
  const methods = byPath.get(route.path) ?? new Map<string, ExactRoute>()
  byPath.set(route.path, methods)
  const names = route.method === 'GET+HEAD' ? ['GET', 'HEAD'] : [route.method]
  for (const name of names) {
    if (methods.has(name)) throw new Error(`two routes for ${name} ${route.path}`)
    methods.set(name, route)
  }
}
