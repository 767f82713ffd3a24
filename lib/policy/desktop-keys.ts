/**
 * The keys of a `desktop` block, with the shape of each, and those that may not stand in one.
 * Data only: `desktop-check.ts` reads it.
 *
 * Sources: the public Claude Desktop configuration reference and which values a gateway of
 * version 2.1.330 accepts, November 2026.
 */
import { is, type Shape } from './shape.ts'

/** Desktop keys come from device management too, where a boolean may be text or a number. */
const flag = is.either(
  'true or false',
  is.flag,
  is.form(/^(?:true|false)$/i, 'true or false'),
  is.numberWhere((value) => value === 0 || value === 1, 'true or false'),
)

function whole(min: number, max: number): Shape {
  const expected = `a whole number from ${min} to ${max}`
  const fits = (value: number): boolean => Number.isInteger(value) && value >= min && value <= max
  return is.either(expected, is.numberWhere(fits, expected), is.form(/^\d{1,4}$/, expected))
}

const httpsUrl = is.form(
  /^(?:https:\/\/\S+|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]\S*)?)$/,
  'an https:// URL, or http:// on loopback',
)
const colour = is.form(/^#[0-9a-f]{6}$/i, 'a colour of six hex digits such as #1a2b3c')

export const desktopKeys: Readonly<Record<string, Shape>> = {
  allowedWorkspaceFolders: is.list(
    is.either(
      'a path',
      is.form(/./s, 'a path'),
      is.block({ path: is.form(/./s, 'a path') }, ['path']),
    ),
  ),
  autoUpdaterEnforcementHours: whole(1, 72),
  banner: is.block({
    enabled: is.flag,
    text: is.text,
    backgroundColor: is.droppable(colour),
    textColor: is.droppable(colour),
    linkUrl: is.form(/^https:\/\/\S+$/, 'an https:// URL'),
  }),
  blockReadsOutsideWorkingDirectories: flag,
  builtinToolPolicy: is.map(is.word('allow', 'ask')),
  chatAdvancedFileAnalysisEnabled: flag,
  chatTabEnabled: flag,
  configRecheckIntervalMinutes: whole(2, 30),
  coworkEgressAllowedHosts: is.list(
    is.form(
      /^(?:\*|(?:localhost|(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::\d{1,5})?)$/i,
      '*, localhost, host[:port] or *.host[:port]',
    ),
  ),
  disableAutoUpdates: flag,
  disableBypassPermissionsMode: flag,
  disabledBuiltinTools: is.list(is.text),
  isClaudeCodeForDesktopEnabled: flag,
  isDesktopExtensionEnabled: flag,
  isLocalDevMcpEnabled: flag,
  managedMcpServers: is.list(is.either('a block of keys', is.block({ name: is.text }, ['name']))),
  microsoftAuthBroker: is.word('required'),
  modelPrefer1mContext: flag,
  orgPluginSettings: is.either(
    'a list of servers',
    is.list(pluginServer()),
    is.closedBlock({ mcpServers: is.map(is.map(is.anything)) }),
  ),
  relaunchEnforcementHours: whole(0, 336),
  sshClientPath: is.form(
    /^(?:\/|[a-z]:[\\/])(?!.*(?:\.\.|["%\r\n\0]))(?:.*[^. ])?$/is,
    'an absolute path without ..',
  ),
  userPluginMarketplacesEnabled: flag,
  userPluginUploadsEnabled: flag,
}

/** Entries of `managedMcpServers`; one without a transport is taken for http. */
export const desktopMcpServer: Shape = is.tagged('transport', {
  http: is.block({ name: is.text, url: httpsUrl }, ['name', 'url']),
  sse: is.block({ name: is.text, url: httpsUrl }, ['name', 'url']),
  stdio: is.block({ name: is.text, command: is.text, args: is.list(is.text) }, ['name', 'command']),
  'policy-only': is.block({ name: is.text }, ['name']),
})

/** Keys the gateway works out itself, with what to set instead. */
export const computedDesktopKeys: Readonly<Record<string, string>> = {
  inferenceProvider: 'upstreams and models',
  inferenceGatewayBaseUrl: 'listen.public_url',
  inferenceCredentialKind: 'upstreams and models',
  inferenceGatewayManagedClaudeCode: 'a code block in the policy',
  inferenceModels: 'models, and availableModels in the policy',
  otlpEndpoint: 'telemetry.forward_to',
  otlpProtocol: 'OTEL_EXPORTER_OTLP_PROTOCOL in the env of the policy',
  otlpResourceAttributes: 'telemetry.resource_attributes',
  expiresAt: 'session.ttl_hours',
}

/** Keys that Claude Desktop reads from device management only. */
export const deviceOnlyDesktopKeys: readonly string[] = [
  'bootstrapUrl',
  'forceLoginOrgUUID',
  'isDesktopExtensionDirectoryEnabled',
  'secureVmFeaturesEnabled',
]

function pluginServer(): Shape {
  const tool = is.block({ toolName: is.text, permission: is.word('allow', 'ask', 'blocked') }, [
    'toolName',
  ])
  return is.block({ serverName: is.text, tools: is.list(tool) }, ['serverName'])
}
