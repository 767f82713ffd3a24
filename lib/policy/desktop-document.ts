/**
 * What a policy's `desktop` block comes to: laid over the base's, brought into the one form that
 * Claude Desktop reads, and completed with what the Claude Code settings say of tools and hosts.
 * Worked out when the configuration is read.
 */
import { isObject, mergeBy, union } from './merge.ts'
import type { JsonObject } from './policy.ts'

/** `own` over `base`; undefined when neither is there, so that Desktop is not opted in. */
export function mergeDesktop(
  base: JsonObject | undefined,
  own: JsonObject | undefined,
): JsonObject | undefined {
  if (base === undefined || own === undefined) return own ?? base
  return mergeBy((key) => classes.get(key), base, own)
}

/** Keys that keep what the base restricts; every other key is replaced whole. */
const classes = new Map([
  ['disabledBuiltinTools', union],
  ['builtinToolPolicy', mergeToolPolicy],
])

function mergeToolPolicy(base: unknown, own: unknown): unknown {
  if (!isObject(base) || !isObject(own)) return own
  return mergeBy(
    () => (inherited, wanted) => (restricts(inherited) ? inherited : wanted),
    base,
    own,
  )
}

function restricts(policy: unknown): boolean {
  return policy !== undefined && policy !== 'allow'
}

/** The block as it is sent, its derived keys first. */
export function desktopDocument(desktop: JsonObject, settings: JsonObject): JsonObject {
  const entries = Object.entries(desktop).map(([key, value]) => [key, canonical(key, value)])
  const sent: JsonObject = Object.fromEntries(entries)
  const denied = bareDenials(settings)
  const hosts = allowedDomains(settings)
  const derived = {
    ...(denied.length === 0
      ? {}
      : { disabledBuiltinTools: union(denied, sent['disabledBuiltinTools'] ?? []) }),
    ...(hosts === undefined || Object.hasOwn(sent, 'coworkEgressAllowedHosts')
      ? {}
      : { coworkEgressAllowedHosts: hosts }),
  }
  return { ...derived, ...sent, ...derived }
}

/** Tools denied altogether; rules with content and MCP tools mean nothing to Desktop. */
function bareDenials(settings: JsonObject): readonly string[] {
  const permissions = settings['permissions']
  const deny = isObject(permissions) ? permissions['deny'] : undefined
  if (!Array.isArray(deny)) return []
  const bare = deny.filter(
    (rule) => typeof rule === 'string' && !rule.includes('(') && !rule.startsWith('mcp__'),
  )
  return [...new Set(bare)]
}

function allowedDomains(settings: JsonObject): unknown {
  const sandbox = settings['sandbox']
  const network = isObject(sandbox) ? sandbox['network'] : undefined
  const domains = isObject(network) ? network['allowedDomains'] : undefined
  return Array.isArray(domains) && domains.length > 0 ? domains : undefined
}

const hours = new Set([
  'autoUpdaterEnforcementHours',
  'relaunchEnforcementHours',
  'configRecheckIntervalMinutes',
])
const flags = new Set([
  'blockReadsOutsideWorkingDirectories',
  'chatAdvancedFileAnalysisEnabled',
  'chatTabEnabled',
  'disableAutoUpdates',
  'disableBypassPermissionsMode',
  'isClaudeCodeForDesktopEnabled',
  'isDesktopExtensionEnabled',
  'isLocalDevMcpEnabled',
  'modelPrefer1mContext',
  'userPluginMarketplacesEnabled',
  'userPluginUploadsEnabled',
])

/** Device management's spellings of a value, in the one that is sent. Checked at boot. */
function canonical(key: string, value: unknown): unknown {
  if (flags.has(key))
    return typeof value === 'boolean' ? value : /^(?:true|1)$/i.test(String(value))
  if (hours.has(key)) return Number(value)
  if (key === 'allowedWorkspaceFolders' && Array.isArray(value)) {
    return value.map((folder: unknown) => (typeof folder === 'string' ? { path: folder } : folder))
  }
  return key === 'orgPluginSettings' ? pluginList(value) : value
}

/** The deprecated record, `{mcpServers: {name: {toolPolicy}}}`, as the list that replaced it. */
function pluginList(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((server: unknown) => (isObject(server) ? { tools: [], ...server } : server))
  }
  const servers = isObject(value) ? value['mcpServers'] : undefined
  if (!isObject(servers)) return []
  return Object.entries(servers).map(([serverName, server]) => {
    const policy = isObject(server) ? server['toolPolicy'] : undefined
    const tools = Object.entries(isObject(policy) ? policy : {})
    return {
      serverName,
      tools: tools.map(([toolName, permission]) => ({ toolName, permission })),
    }
  })
}
