/**
 * Boot checks of a Claude Code managed-settings document (`cli`, `code` or `settings` of a
 * policy). Called by the configuration for every policy; every problem is reported, none stops
 * the walk, and the document itself is never changed.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import { isObject } from './merge.ts'
import { ruleProblem, type RuleList } from './permission-rule.ts'
import { globalConfigKeys, ignoredSettings, settingsKeys } from './settings-keys.ts'
import { checkShape } from './shape-check.ts'

/**
 * Reports every problem of `document`, which stands at `path`. Keys in `allowed`
 * (`extensions.settings.allow`) are accepted unseen, with a warning.
 */
export function checkSettingsDocument(
  document: unknown,
  path: KeyPath,
  allowed: readonly string[],
  report: ConfigReport,
): void {
  if (!isObject(document)) {
    report.error(path, { expected: 'a block of settings' })
    return
  }
  const slip = (at: KeyPath, close: readonly string[]): void =>
    report.warn(at, `is no known key and is served as written; did you mean ${close.join(' or ')}?`)
  for (const [name, value] of Object.entries(document)) {
    const shape = Object.hasOwn(settingsKeys, name) ? settingsKeys[name] : undefined
    if (shape === undefined) checkUnknownKey(name, [...path, name], allowed, report)
    else checkShape(value, shape, [...path, name], { ...report, slip })
    if (Object.hasOwn(ignoredSettings, name)) {
      report.warn([...path, name], `is served, but clients ignore it: ${ignoredSettings[name]}`)
    }
  }
  checkRules(document['permissions'], [...path, 'permissions'], report)
}

const newerClient =
  'a settings key; when a newer client knows it, list it in extensions.settings.allow'

function checkUnknownKey(
  name: string,
  path: KeyPath,
  allowed: readonly string[],
  report: ConfigReport,
): void {
  if (allowed.includes(name)) {
    report.warn(path, 'is not known here and is served unchecked (extensions.settings.allow)')
    return
  }
  const found = `unknown key ${JSON.stringify(name)}`
  if (name === 'mcpServers') {
    const expected = 'managedMcpServers, the key for servers that a gateway delivers'
    report.error(path, { expected, found, nearest: ['managedMcpServers'] })
  } else if (globalConfigKeys.includes(name)) {
    const expected = 'a settings key; this one belongs into ~/.claude.json on each machine'
    report.error(path, { expected, found })
  } else {
    const close = nearest(name, Object.keys(settingsKeys))
    report.error(path, { expected: newerClient, found, nearest: close })
  }
}

/** The shape has seen to it that these are lists of texts, or has complained. */
function checkRules(permissions: unknown, path: KeyPath, report: ConfigReport): void {
  if (!isObject(permissions)) return
  for (const list of ['allow', 'ask', 'deny'] as const satisfies readonly RuleList[]) {
    const rules = permissions[list]
    if (!Array.isArray(rules)) continue
    for (const [index, rule] of rules.entries()) {
      const expected = typeof rule === 'string' ? ruleProblem(rule, list) : null
      if (expected !== null) report.error([...path, list, index], { expected })
    }
  }
}
