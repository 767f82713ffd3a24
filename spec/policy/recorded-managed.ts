/**
 * Recorded answers of `/managed/settings`, `/user/bootstrap` and `/v1/models`, and the
 * configurations they were recorded with. Replayed by the specs of those handlers.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ModelConfig } from '../../lib/catalogue/config.ts'
import { type Catalogue, createCatalogue } from '../../lib/catalogue/resolve.ts'
import type { Exchange } from '../../lib/http/exchange.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import type { Audit, Log } from '../../lib/kernel/log.ts'
import { createModelAccess, type ModelAccess } from '../../lib/policy/model-access.ts'
import type { JsonObject, Policy } from '../../lib/policy/policy.ts'
import type { PushedTelemetry } from '../../lib/policy/telemetry-env.ts'

const fixtures = join(import.meta.dirname, '../fixtures/policy')
const read = (name: string) => JSON.parse(readFileSync(join(fixtures, name), 'utf8'))

export interface Recorded {
  readonly config: string
  readonly request: string
  readonly path: string
  readonly caller: { sub: string; email?: string; groups: string[]; exp: number }
  readonly headers: Readonly<Record<string, string>>
  readonly status: number
  readonly response_headers: readonly [string, string][]
  readonly body: string
}
export const recorded: readonly Recorded[] = read('managed.json')

export interface Setup {
  readonly policies?: readonly Policy[]
  readonly models?: readonly ModelConfig[]
  readonly builtIn?: boolean
  readonly telemetry?: PushedTelemetry
  readonly modelPricing?: JsonObject
}

const { base, role } = read('merge-input.json')
const collector = { metrics: true, logs: true, traces: true }
const telemetry: PushedTelemetry = {
  forward_to: [collector],
  resource_attributes: { team: 'x/y:z@1', 'dept.id': '7' },
}
const sonnetOnly = { availableModels: ['claude-sonnet-4-6'], env: { A: '1' } }
const onlyA: Policy = { match: { groups: ['a'] }, cli: { env: { A: '1' } }, desktop: {} }
const models: ModelConfig[] = [
  {
    id: 'my-model',
    label: 'My Model',
    description: 'desc',
    upstream_model: { anthropic: 'claude-opus-4-8' },
  },
  {
    id: 'claude-sonnet-4-6',
    label: 'Sonnet!',
    upstream_model: { anthropic: 'claude-sonnet-4-6' },
  },
]
const [myModel] = models

/** Put together from the answers; the recording kept no configuration but that of `merge`. */
export const setups: Readonly<Record<string, Setup>> = {
  merge: {
    policies: [
      { match: { groups: ['r1'] }, cli: role },
      { match: { groups: ['r2'] }, cli: {} },
      { match: { groups: ['r3'], email_domain: 'x.com' }, cli: { env: { E: 'both' } } },
      { match: { email_domain: 'corp.com' }, cli: { env: { D: 'corp' } } },
      { match: {}, cli: base },
    ],
  },
  'no managed': {},
  'no match': { policies: [onlyA] },
  'telemetry metrics only + policy overrides otel': {
    telemetry: { ...telemetry, forward_to: [{ metrics: true, logs: false, traces: false }] },
    policies: [
      {
        cli: {
          env: {
            CLAUDE_CODE_ENABLE_TELEMETRY: '0',
            OTEL_EXPORTER_OTLP_ENDPOINT: 'https://other',
            OTEL_RESOURCE_ATTRIBUTES: 'mine=1',
          },
        },
      },
    ],
  },
  'empty cli': { policies: [{ cli: {} }] },
  'desktop only policy': { policies: [{ desktop: {} }] },
  'code + desktop': {
    policies: [
      {
        match: { groups: ['a'] },
        code: { permissions: { deny: ['WebFetch'] }, env: { R: '1' } },
      },
      {
        code: {
          availableModels: ['claude-sonnet-4-6'],
          permissions: { deny: ['WebSearch'] },
          env: { A: '1' },
        },
        desktop: {},
      },
    ],
  },
  'code serve_to_desktop true': {
    policies: [{ code: sonnetOnly, desktop: {}, serve_to_desktop: true }],
  },
  'code serve_to_desktop false': {
    policies: [{ code: sonnetOnly, desktop: {}, serve_to_desktop: false }],
  },
  'cli serve_to_desktop true': {
    policies: [{ cli: sonnetOnly, desktop: {}, serve_to_desktop: true }],
  },
  'cli serve_to_desktop false': {
    policies: [{ cli: { env: { A: '1' } }, desktop: {}, serve_to_desktop: false }],
  },
  'pricing push': {
    modelPricing: {
      multiplier: 0.85,
      overrides: { 'claude-opus-4-8': { input: 1.5, output: 2, cacheRead: 0.1, cacheWrite: 3 } },
    },
    policies: [{ cli: { env: { A: '1' } }, desktop: {} }],
  },
  'pricing push unmatched': { modelPricing: { multiplier: 0.85 }, policies: [onlyA] },
  'models block': {
    models,
    policies: [
      { cli: { availableModels: ['opus', 'my-model', 'claude-sonnet-4-6'] }, desktop: {} },
    ],
  },
  'all models': { policies: [{ cli: {}, desktop: {} }] },
  'no builtin': {
    models: [
      ...(myModel === undefined ? [] : [myModel]),
      { id: 'm2', upstream_model: { anthropic: 'zzz' } },
    ],
    policies: [{ cli: {}, desktop: {} }],
  },
  'no models at all': { builtIn: false, policies: [{ cli: {}, desktop: {} }] },
  'billing tag + login_notice': { policies: [{ cli: { env: { A: '1' } } }] },
  'no managed + telemetry': { telemetry },
  'no match + telemetry': { telemetry, policies: [onlyA] },
  'policy OTEL_RESOURCE_ATTRIBUTES merge': {
    telemetry,
    policies: [{ cli: { env: { OTEL_RESOURCE_ATTRIBUTES: 'mine=1' } } }],
  },
  'cli+desktop sample': {
    telemetry,
    policies: [
      {
        match: { groups: ['a'] },
        cli: { availableModels: ['claude-sonnet-4-6'], permissions: { deny: ['WebFetch'] } },
        desktop: {
          banner: { text: 'Contractor' },
          disableAutoUpdates: true,
          isLocalDevMcpEnabled: false,
          builtinToolPolicy: { Bash: 'allow' },
        },
      },
      { match: { groups: ['nd'] }, cli: {} },
      {
        cli: {
          availableModels: ['claude-opus-4-8', 'claude-sonnet-4-6'],
          permissions: {
            deny: ['WebSearch', 'Bash(rm *)', 'Bash', 'mcp__x', 'Task', 'mcp__y__z', 'NotATool'],
            allow: ['Read'],
          },
          sandbox: { network: { allowedDomains: ['a.example.com', '*.b.example.com'] } },
          env: { A: '1' },
          hooks: { Stop: [] },
        },
        desktop: {
          chatTabEnabled: true,
          disabledBuiltinTools: ['Bash', 'Edit'],
          builtinToolPolicy: { Bash: 'ask' },
          banner: { text: 'Base', backgroundColor: '#ffffff' },
        },
      },
    ],
  },
  'desktop overrides egress': {
    policies: [
      {
        cli: { sandbox: { network: { allowedDomains: ['a.example.com'] } } },
        desktop: { coworkEgressAllowedHosts: ['b.example.com'] },
      },
    ],
  },
}

export interface Parts {
  readonly catalogue: Catalogue
  readonly access: ModelAccess
}

export function createParts({ policies = [], models: own = [], builtIn = true }: Setup): Parts {
  const catalogue = createCatalogue([{ name: 'anthropic', provider: 'anthropic' }], {
    models: own,
    auto_include_builtin_models: builtIn,
  })
  return { catalogue, access: createModelAccess(policies, catalogue) }
}

export function callerOf({ caller }: Recorded): Caller {
  const { sub, email, groups, exp } = caller
  return { sub, email, name: undefined, groups, expiresAt: exp }
}

export function exchangeOf(
  headers: Readonly<Record<string, string>> = {},
  requestId = 'request-1',
): Exchange {
  return {
    method: 'GET',
    path: '/',
    query: '',
    headers,
    headerLines: () => [],
    requestId,
    clientAddress: '127.0.0.1',
    signal: new AbortController().signal,
    startedAt: 0,
    readBody: () => Promise.reject(new Error('nothing to read')),
  }
}

export interface Recorder {
  /** `level text`. */
  readonly lines: readonly string[]
  readonly audits: readonly object[]
  readonly log: Log
  readonly audit: Audit
}

/** Collects what is logged and audited. */
export function createRecorder(): Recorder {
  const lines: string[] = []
  const audits: object[] = []
  const write =
    (level: string) =>
    (text: string): void =>
      void lines.push(`${level} ${text}`)
  const log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    debugs: true,
  }
  const audit: Audit = (event, fields) => void audits.push({ event, ...fields })
  return { lines, audits, log, audit }
}
