/**
 * The larger shapes inside managed settings: hooks, the sandbox, MCP servers, plugin sources.
 * Data for `settings-keys.ts`, which says where they stand and where the facts come from.
 */
import { type BlockShape, is, type Shape } from './shape.ts'

const hookEvents = [
  'SessionStart',
  'Setup',
  'UserPromptSubmit',
  'UserPromptExpansion',
  'PreToolUse',
  'PermissionRequest',
  'PermissionDenied',
  'PostToolUse',
  'PostToolUseFailure',
  'PostToolBatch',
  'Notification',
  'MessageDisplay',
  'SubagentStart',
  'SubagentStop',
  'TaskCreated',
  'TaskCompleted',
  'Stop',
  'StopFailure',
  'TeammateIdle',
  'InstructionsLoaded',
  'ConfigChange',
  'CwdChanged',
  'DirectoryAdded',
  'FileChanged',
  'WorktreeCreate',
  'WorktreeRemove',
  'PreCompact',
  'PostCompact',
  'Elicitation',
  'ElicitationResult',
  'SessionEnd',
]

/** An entry of the lists that allow or deny MCP servers. */
export function mcpServerMatch(): Shape {
  return is.oneOf({
    serverName: is.form(/^[\w-]+$/, 'a name of letters, digits, - and _'),
    serverCommand: is.filledList(is.text),
    serverUrl: is.text,
  })
}

/** Only servers reached by URL: settings from a gateway must not name a program to run. */
export function managedMcpServer(): Shape {
  const server = is.block(
    {
      url: is.form(/^https:\/\/\S+$/, 'an https:// URL'),
      headers: is.map(is.text),
      command: is.never('nothing: a gateway may not name a program to run'),
      headersHelper: is.never('nothing: a gateway may not name a program to run'),
    },
    ['url'],
  )
  return is.tagged('type', { http: server, sse: server, 'streamable-http': server })
}

/** Where plugins come from; `more` are kinds that only some lists know. */
export function marketplaceSource(more: Readonly<Record<string, BlockShape>> = {}): Shape {
  const headers = is.map(is.text)
  const place = { ref: is.text, path: is.text, sparsePaths: is.list(is.text) }
  return is.tagged('source', {
    url: is.block({ url: is.url, headers }, ['url']),
    github: is.block({ repo: is.text, ...place }, ['repo']),
    git: is.block({ url: is.text, ...place }, ['url']),
    npm: is.block({ package: is.text }, ['package']),
    file: is.block({ path: is.text }, ['path']),
    directory: is.block({ path: is.text }, ['path']),
    'skills-dir': is.block({}),
    hostPattern: is.block({ hostPattern: is.text }, ['hostPattern']),
    pathPattern: is.block({ pathPattern: is.text }, ['pathPattern']),
    settings: is.block({ name: is.text, plugins: is.list(is.anything) }, ['name', 'plugins']),
    ...more,
  })
}

/** Hooks by event; an event no client has is refused. */
export function hooks(): Shape {
  const common = { if: is.text, timeout: is.number, statusMessage: is.text, once: is.flag }
  const hook = is.tagged('type', {
    command: is.block(
      { ...common, command: is.text, shell: is.word('bash', 'powershell'), async: is.flag },
      ['command'],
    ),
    prompt: is.block({ ...common, prompt: is.text, model: is.text }, ['prompt']),
    agent: is.block({ ...common, prompt: is.text, model: is.text }, ['prompt']),
    http: is.block(
      { ...common, url: is.url, headers: is.map(is.text), allowedEnvVars: is.list(is.text) },
      ['url'],
    ),
    mcp_tool: is.block({ ...common, server: is.text, tool: is.text, input: is.map(is.anything) }, [
      'server',
      'tool',
    ]),
  })
  const matchers = is.list(is.block({ matcher: is.text, hooks: is.list(hook) }, ['hooks']))
  return is.closedBlock(Object.fromEntries(hookEvents.map((event) => [event, matchers])))
}

/** The sandbox of commands. */
export function sandbox(): Shape {
  const masked = is.word('deny', 'mask')
  return is.block({
    enabled: is.flag,
    failIfUnavailable: is.flag,
    autoAllowBashIfSandboxed: is.flag,
    excludedCommands: is.list(is.text),
    allowUnsandboxedCommands: is.flag,
    filesystem: is.block({
      allowWrite: is.list(is.text),
      denyWrite: is.list(is.text),
      denyRead: is.list(is.text),
      allowRead: is.list(is.text),
      allowManagedReadPathsOnly: is.flag,
      disabled: is.flag,
    }),
    ignoreViolations: is.map(is.list(is.text)),
    enableWeakerNestedSandbox: is.flag,
    enableWeakerNetworkIsolation: is.flag,
    allowAppleEvents: is.flag,
    ripgrep: is.block({ command: is.text, args: is.list(is.text) }, ['command']),
    bwrapPath: is.anything,
    socatPath: is.anything,
    credentials: is.block({
      files: is.list(is.block({ path: is.text, mode: masked }, ['path', 'mode'])),
      envVars: is.list(is.block({ name: is.text, mode: masked }, ['name', 'mode'])),
      allowPlaintextInject: is.flag,
      awsPairs: is.list(
        is.block({ accessKeyIdVar: is.text, secretAccessKeyVar: is.text }, [
          'accessKeyIdVar',
          'secretAccessKeyVar',
        ]),
      ),
      sigv4: is.map(is.anything),
    }),
    network: is.block({
      allowUnixSockets: is.list(is.text),
      allowAllUnixSockets: is.flag,
      allowLocalBinding: is.flag,
      allowMachLookup: is.list(is.text),
      allowedDomains: is.list(is.text),
      deniedDomains: is.list(is.text),
      strictAllowlist: is.flag,
      allowManagedDomainsOnly: is.flag,
      httpProxyPort: is.number,
      socksProxyPort: is.number,
      tlsTerminate: is.map(is.anything),
    }),
  })
}
