/**
 * The keys a Claude Code managed-settings document may hold, with the shape of each. Data only:
 * `settings-check.ts` reads it. A key a newer client knows is one more line here, or an entry of
 * `extensions.settings.allow`.
 *
 * Sources: the public settings reference of Claude Code (about 2.1.239), names seen up to
 * 2.1.330, and which values a gateway of that version accepts, November 2026.
 */
import {
  hooks,
  managedMcpServer,
  marketplaceSource,
  mcpServerMatch,
  sandbox,
} from './settings-shapes.ts'
import { is, type Shape } from './shape.ts'

/** Keys that work, with their shapes. */
export const settingsKeys: Readonly<Record<string, Shape>> = {
  $schema: is.text,
  advisorModel: is.text,
  agent: is.text,
  agentPushNotifEnabled: is.flag,
  allowAllClaudeAiMcps: is.flag,
  allowedChannelPlugins: is.list(
    is.block({ marketplace: is.text, plugin: is.text }, ['marketplace', 'plugin']),
  ),
  allowedHttpHookUrls: is.list(is.text),
  allowedMcpServers: is.list(mcpServerMatch()),
  allowedProviders: is.list(
    is.word(
      'anthropic',
      'customEndpoint',
      'bedrock',
      'vertex',
      'foundry',
      'anthropicAws',
      'mantle',
      'gateway',
    ),
  ),
  allowManagedHooksOnly: is.flag,
  allowManagedMcpServersOnly: is.flag,
  allowManagedPermissionRulesOnly: is.flag,
  alwaysThinkingEnabled: is.flag,
  apiKeyHelper: is.text,
  askUserQuestionTimeout: is.droppable(is.word('60s', '5m', '10m', 'never')),
  attribution: is.either(
    'true, false or a block such as {commit: "", pr: ""}',
    is.flag,
    is.block({ commit: is.text, pr: is.text, sessionUrl: is.flag }),
  ),
  attributionProject: is.text,
  autoCompactEnabled: is.flag,
  autoCompactWindow: is.droppable(
    is.numberWhere(
      (tokens) => tokens >= 100_000 && tokens <= 1_000_000,
      'a number from 100000 to 1000000',
    ),
  ),
  autoMemoryDirectory: is.text,
  autoMemoryEnabled: is.flag,
  autoMode: is.block({
    environment: is.list(is.text),
    allow: is.list(is.text),
    soft_deny: is.list(is.text),
    hard_deny: is.list(is.text),
    classifyAllShell: is.flag,
  }),
  autoScrollEnabled: is.flag,
  autoUpdatesChannel: is.word('latest', 'stable', 'rc'),
  availableModels: is.list(is.text),
  availableModelsMatch: is.word('prefix', 'exact'),
  awaySummaryEnabled: is.flag,
  awsAuthRefresh: is.text,
  awsCredentialExport: is.text,
  axScreenReader: is.flag,
  blockedMarketplaces: is.list(marketplaceSource({ pluginDirectory: is.block({}) })),
  browserExternalPageTools: is.text,
  channelsEnabled: is.flag,
  claudeMd: is.text,
  claudeMdExcludes: is.list(is.text),
  cleanupPeriodDays: wholeAboveZero(),
  companyAnnouncements: is.list(is.text),
  crossSessionInbound: is.word('accept', 'hold', 'refuse'),
  defaultShell: is.word('bash', 'powershell'),
  deniedMcpServers: is.list(mcpServerMatch()),
  deniedModels: is.list(is.text),
  dialogExpiry: is.droppable(is.word('60s', '5m', '10m', 'never')),
  disableAgentView: is.flag,
  disableAllHooks: is.flag,
  disableArtifact: is.flag,
  disableAutoMode: is.word('disable'),
  disableBrowserExternalNavigation: is.flag,
  disableBundledSkills: is.flag,
  disableClaudeAiConnectors: is.flag,
  disableCommandPluginSources: is.flag,
  disableDeepLinkRegistration: is.word('disable'),
  disabledMcpjsonServers: is.list(is.text),
  disableMobileSimulatorTools: is.flag,
  disableRemoteControl: is.flag,
  disableSideloadFlags: is.flag,
  disableSkillShellExecution: is.flag,
  disableWorkflows: is.flag,
  editorMode: is.droppable(is.word('normal', 'vim')),
  effortLevel: is.droppable(is.word('low', 'medium', 'high', 'xhigh')),
  emojiCompletionEnabled: is.flag,
  enableAllProjectMcpServers: is.flag,
  enableArtifact: is.flag,
  enabledMcpjsonServers: is.list(is.text),
  enabledPlugins: is.map(is.either('true, false or a list of versions', is.flag, is.list(is.text))),
  enableWorkflows: is.flag,
  enforceAvailableModels: is.flag,
  env: is.map(is.anything),
  extraKnownMarketplaces: is.map(
    is.block({ source: marketplaceSource(), autoUpdate: is.flag, installLocation: is.text }, [
      'source',
    ]),
  ),
  fallbackModel: is.list(is.text),
  fastMode: is.flag,
  fastModePerSessionOptIn: is.flag,
  feedbackSurveyRate: is.numberWhere((rate) => rate >= 0 && rate <= 1, 'a number from 0 to 1'),
  fileCheckpointingEnabled: is.flag,
  fileSuggestion: is.block({ type: is.word('command'), command: is.text }, ['type', 'command']),
  footerLinksRegexes: is.droppable(
    is.list(
      is.block({ type: is.word('regex'), pattern: is.text, url: is.text, label: is.text }, [
        'type',
        'pattern',
        'url',
      ]),
    ),
  ),
  forceLoginGatewayUrl: is.droppable(is.text),
  forceLoginMethod: is.droppable(is.word('claudeai', 'console', 'gateway')),
  forceLoginOrgUUID: is.either('text or a list of texts', is.text, is.list(is.text)),
  forceRemoteSettingsRefresh: is.flag,
  gatewayInternalNetworks: is.droppable(is.list(is.text)),
  gcpAuthRefresh: is.text,
  hooks: hooks(),
  httpHookAllowedEnvVars: is.list(is.text),
  includeCoAuthoredBy: is.flag,
  includeGitInstructions: is.flag,
  inputNeededNotifEnabled: is.flag,
  isolatePeerMachines: is.flag,
  keybindingFlavor: is.droppable(is.word('classic', 'readline')),
  language: is.text,
  managedMcpServers: is.map(managedMcpServer(), /^[\w-]+$/),
  minimumVersion: is.text,
  model: is.text,
  modelOverrides: is.map(is.text),
  modelPicker: is.block(
    { options: is.list(is.block({ model: is.text, label: is.text }, ['model'])) },
    ['options'],
  ),
  modelPricing: is.block({
    multiplier: is.numberWhere(
      (factor) => factor > 0 && factor <= 10,
      'a number greater than 0 and at most 10',
    ),
    overrides: is.map(
      is.block({ input: rate(), output: rate(), cacheRead: rate(), cacheWrite: rate() }, [
        'input',
        'output',
        'cacheRead',
        'cacheWrite',
      ]),
    ),
  }),
  otelHeadersHelper: is.text,
  outputStyle: is.text,
  parentSettingsBehavior: is.word('first-wins', 'merge'),
  permissions: is.block({
    // The rules themselves are read by permission-rule.ts.
    allow: is.list(is.text),
    ask: is.list(is.text),
    deny: is.list(is.text),
    additionalDirectories: is.list(is.text),
    defaultMode: is.word('acceptEdits', 'auto', 'bypassPermissions', 'default', 'dontAsk', 'plan'),
    disableBypassPermissionsMode: is.word('disable'),
    disableAutoMode: is.word('disable'),
  }),
  plansDirectory: is.text,
  pluginConfigs: is.map(is.map(is.anything)),
  pluginSuggestionMarketplaces: is.list(is.text),
  pluginTrustMessage: is.text,
  policyHelper: orNull(
    is.block(
      {
        path: orNull(is.text),
        timeoutMs: orNull(
          is.numberWhere(
            (ms) => Number.isInteger(ms) && ms >= 1000,
            'a whole number of at least 1000',
          ),
        ),
        refreshIntervalMs: orNull(
          is.numberWhere((ms) => ms === 0 || ms >= 60_000, '0 or at least 60000'),
        ),
      },
      ['path'],
    ),
  ),
  preferredNotifChannel: is.droppable(
    is.word(
      'auto',
      'terminal_bell',
      'iterm2',
      'iterm2_with_bell',
      'kitty',
      'ghostty',
      'notifications_disabled',
    ),
  ),
  prefersReducedMotion: is.flag,
  processWrapper: is.text,
  promptCacheTtl: is.droppable(is.text),
  promptSuggestionEnabled: is.flag,
  prUrlTemplate: is.text,
  remote: is.block({ defaultEnvironmentId: is.text }),
  remoteControlAtStartup: is.flag,
  requiredMaximumVersion: is.text,
  requiredMinimumVersion: is.text,
  respectGitignore: is.flag,
  respondToBashCommands: is.flag,
  sandbox: sandbox(),
  showClearContextOnPlanAccept: is.flag,
  showThinkingSummaries: is.flag,
  showTurnDuration: is.flag,
  skillListingBudgetFraction: is.numberWhere(
    (fraction) => fraction > 0 && fraction <= 1,
    'a number greater than 0 and at most 1',
  ),
  skillListingMaxDescChars: wholeAboveZero(),
  skillOverrides: is.map(is.word('on', 'name-only', 'user-invocable-only', 'off')),
  skipAutoPermissionPrompt: is.flag,
  skipDangerousModePermissionPrompt: is.flag,
  skipWebFetchPreflight: is.flag,
  spellcheck: is.droppable(
    is.block({
      enabled: is.flag,
      checker: is.word('aspell', 'hunspell', 'ispell', 'auto'),
      language: is.text,
      color: is.text,
    }),
  ),
  spinnerTipsEnabled: is.flag,
  spinnerTipsOverride: is.droppable(is.block({ tips: is.list(is.text), excludeDefault: is.flag })),
  spinnerVerbs: is.block({ verbs: is.list(is.text), mode: is.word('append', 'replace') }, [
    'verbs',
    'mode',
  ]),
  sshConfigs: is.list(
    is.block(
      {
        id: is.text,
        name: is.text,
        sshHost: is.text,
        sshPort: is.whole,
        sshIdentityFile: is.text,
      },
      ['id', 'name', 'sshHost'],
    ),
  ),
  sshHostAllowlist: is.list(is.text),
  statusLine: is.block(
    {
      type: is.word('command'),
      command: is.text,
      padding: is.number,
      refreshInterval: is.droppable(is.numberWhere((s) => s >= 1, 'a number of at least 1')),
      hideVimModeIndicator: is.flag,
    },
    ['type', 'command'],
  ),
  strictKnownMarketplaces: is.list(marketplaceSource()),
  strictPluginOnlyCustomization: is.either(
    'true, false or a list of skills, agents, hooks, mcp',
    is.flag,
    is.nothing,
    is.list(is.droppable(is.word('skills', 'agents', 'hooks', 'mcp'))),
  ),
  subagentStatusLine: is.droppable(
    is.block({ type: is.word('command'), command: is.text }, ['type', 'command']),
  ),
  switchModelsOnFlag: is.flag,
  syncClaudeAiSkills: is.flag,
  syntaxHighlightingDisabled: is.flag,
  teammateMode: is.droppable(is.word('in-process', 'auto', 'tmux', 'iterm2')),
  terminalProgressBarEnabled: is.flag,
  terminalTitleFromRename: is.flag,
  theme: is.droppable(
    is.form(
      /^(?:auto|(?:dark|light)(?:-daltonized|-ansi)?|custom:.+)$/,
      'a theme such as auto, dark, light-ansi or custom:<name>',
    ),
  ),
  tui: is.word('default', 'fullscreen'),
  ultracode: is.droppable(is.flag),
  useAutoModeDuringPlan: is.flag,
  verbose: is.flag,
  viewMode: is.droppable(is.word('default', 'verbose', 'focus')),
  vimInsertModeRemaps: is.droppable(is.map(is.word('<Esc>'))),
  voice: is.block({ enabled: is.flag, autoSubmit: is.flag, mode: is.word('hold', 'tap') }),
  voiceEnabled: is.flag,
  wheelScrollAccelerationEnabled: is.flag,
  workflowKeywordTriggerEnabled: is.flag,
  workflowSizeGuideline: is.word('unrestricted', 'small', 'medium', 'large'),
  worktree: is.block({
    baseRef: is.word('fresh', 'head'),
    symlinkDirectories: is.list(is.text),
    sparsePaths: is.list(is.text),
    bgIsolation: is.anything,
  }),
  wslInheritsWindowsSettings: is.flag,
  xaaIdp: is.anything,
}

/** Known keys that do nothing when they come from a gateway, and why. */
export const ignoredSettings: Readonly<Record<string, string>> = {
  forceLoginGatewayUrl: 'a client must know its gateway before it can ask it',
  gatewayInternalNetworks: 'clients take it from settings on the machine only',
  policyHelper: 'clients take it from settings on the machine only',
  wslInheritsWindowsSettings: 'clients take it from settings on the machine only',
  xaaIdp: 'clients know it only with CLAUDE_CODE_ENABLE_XAA set',
}

/** Keys of a person's `~/.claude.json`, which are no settings. */
export const globalConfigKeys: readonly string[] = [
  'autoConnectIde',
  'autoInstallIdeExtension',
  'diffTool',
  'externalEditorContext',
  'permissionExplainerEnabled',
  'teammateDefaultModel',
]

function wholeAboveZero(): Shape {
  return is.numberWhere(
    (value) => Number.isInteger(value) && value > 0,
    'a whole number greater than 0',
  )
}

/** USD per million tokens. */
function rate(): Shape {
  return is.numberWhere((usd) => usd >= 0 && usd <= 10_000, 'a number from 0 to 10000')
}

function orNull(shape: Shape): Shape {
  return is.either(
    `null or ${'expected' in shape ? shape.expected : 'a block of keys'}`,
    is.nothing,
    shape,
  )
}
