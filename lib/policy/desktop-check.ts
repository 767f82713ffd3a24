/**
 * Boot checks of a policy's `desktop` block. Called by the configuration for every policy that
 * has one; every problem is reported, none stops the walk, and the block is never changed.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import {
  computedDesktopKeys,
  desktopKeys,
  desktopMcpServer,
  deviceOnlyDesktopKeys,
} from './desktop-keys.ts'
import { isObject } from './merge.ts'
import { checkShape, type ShapeReport } from './shape-check.ts'

/** Reports every problem of `document`, the `desktop` block that stands at `path`. */
export function checkDesktopDocument(document: unknown, path: KeyPath, report: ConfigReport): void {
  if (!isObject(document)) {
    report.error(path, { expected: 'a block of Claude Desktop keys, {} at least' })
    return
  }
  const strict: ShapeReport = {
    ...report,
    // Desktop would silently not do what was meant.
    slip: (at, close) =>
      report.error(at, { expected: 'a key Claude Desktop knows here', nearest: close }),
  }
  for (const [name, value] of Object.entries(document)) {
    const shape = Object.hasOwn(desktopKeys, name) ? desktopKeys[name] : undefined
    if (shape === undefined) checkOther(name, [...path, name], report)
    else if (value === null || value === '') {
      report.error([...path, name], { expected: 'a value; without the key its default counts' })
    } else checkShape(value, shape, [...path, name], strict)
  }
  checkServers(document['managedMcpServers'], [...path, 'managedMcpServers'], strict)
  checkPlugins(document['orgPluginSettings'], [...path, 'orgPluginSettings'], report)
}

function checkOther(name: string, path: KeyPath, report: ConfigReport): void {
  const found = `the key ${JSON.stringify(name)}`
  const instead = Object.hasOwn(computedDesktopKeys, name) ? computedDesktopKeys[name] : undefined
  if (instead !== undefined) {
    report.error(path, {
      expected: `a key the gateway does not set itself (from ${instead})`,
      found,
    })
  } else if (deviceOnlyDesktopKeys.includes(name)) {
    report.error(path, { expected: 'a key a gateway may set; device management sets this', found })
  } else {
    const close = nearest(name, Object.keys(desktopKeys))
    if (close.length > 0) {
      const expected = 'a Claude Desktop key'
      report.error(path, { expected, found: `unknown key ${JSON.stringify(name)}`, nearest: close })
    } else report.warn(path, 'is not known here and is sent to Claude Desktop as written')
  }
}

function checkServers(servers: unknown, path: KeyPath, report: ShapeReport): void {
  if (!Array.isArray(servers)) return
  const names = new Set<unknown>()
  for (const [index, server] of servers.entries()) {
    if (!isObject(server)) continue
    const { name, transport } = server
    if (transport === undefined) {
      report.warn(
        [...path, index],
        'has no transport, which is deprecated: set transport to http, sse or stdio',
      )
    }
    checkShape({ transport: 'http', ...server }, desktopMcpServer, [...path, index], report)
    if (typeof name === 'string' && names.has(name)) {
      report.error([...path, index, 'name'], { expected: 'a name no other server has' })
    }
    names.add(name)
  }
}

function checkPlugins(settings: unknown, path: KeyPath, report: ConfigReport): void {
  if (isObject(settings)) {
    report.warn(path, 'is deprecated in this form: write a list of {serverName, tools}')
  }
}
