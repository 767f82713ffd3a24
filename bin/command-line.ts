/**
 * What the gateway was asked to do, from its arguments. Pure; `gateway.ts` acts on it.
 */
import { parseArgs } from 'node:util'
import type { UnsignedMax } from '../lib/audit/verify.ts'
import { nearest } from '../lib/kernel/spelling.ts'

export type Command =
  | { readonly kind: 'serve'; readonly config: string | undefined }
  | { readonly kind: 'check'; readonly config: string | undefined }
  | { readonly kind: 'doctor'; readonly config: string | undefined; readonly json: boolean }
  | {
      readonly kind: 'explain'
      readonly config: string | undefined
      readonly email: string | undefined
      readonly groups: readonly string[]
      readonly json: boolean
    }
  | { readonly kind: 'forget'; readonly config: string | undefined; readonly principal: string }
  | {
      readonly kind: 'verify-audit'
      readonly files: readonly string[]
      readonly publicKey: string | undefined
      readonly maxUnsigned: UnsignedMax | undefined
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'mistake'; readonly message: string }

/** Taken when no --config is given and the file is there. */
export const defaultConfigPath: string = 'gateway.yaml'

export const usage: string = `Usage: gateway [--config FILE]         serve
       gateway check [--config FILE]   validate the file, without network or database
       gateway doctor [--config FILE] [--json]
                                       try everything the file names, change and spend nothing
       gateway explain [--config FILE] [--email E] [--groups A,B] [--json]
                                       what a person would get and why, without network or database
       gateway forget [--config FILE] --principal SUB
                                       erase the name, email and groups of a principal
       gateway audit verify --file FILE [--file NEXT]… [--public-key PEM] [--max-unsigned N]
                                       check every hash and signature of an audit file

Options:
  --config FILE   configuration; without it ./${defaultConfigPath} is taken when there is one
  --email E       explain: the person's email, for policies with an email_domain
  --groups A,B    explain: the person's groups, as the identity provider spells them
  --principal SUB forget: the id, as \`sub\` in audit lines and in spend
  --file FILE     audit verify: a file of extensions.audit; several in the order
                  of their rotation
  --public-key PEM
                  audit verify: the key its signatures are checked with
  --max-unsigned N
                  audit verify: how much may stand after the last signature: so many
                  records (500), or none older than so long (90s, 15m, 2h)
  --json          doctor, explain: JSON instead of text
  --version       print the version
  --help          print this text

Exit codes:
  0   served and drained, the configuration or the audit file is sound, the doctor found nothing
      that fails, or the command did what it says; explain: also when no policy fits
  1   wrong arguments, an invalid configuration, a broken audit file, something the doctor found
      failing, or boot failed; standard error says why
  2   audit verify: all of it is sound, but more than --max-unsigned stands after the last signature

Environment:
  CLAUDE_GATEWAY_LOG_LEVEL          debug, info (default), warn or error; audit lines always come
  CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS   how long open requests may run on after SIGTERM (25000)
  CLAUDE_GATEWAY_ALLOW_LOOPBACK     1 allows loopback addresses for issuer and upstreams
  BUN_CONFIG_MAX_HTTP_REQUESTS      requests open at once (8192)

Signals: SIGTERM and SIGINT drain, a second one cuts what is still open; SIGHUP loads the
configuration again.
`

const options = {
  config: { type: 'string' },
  email: { type: 'string' },
  groups: { type: 'string' },
  principal: { type: 'string' },
  file: { type: 'string', multiple: true },
  'public-key': { type: 'string' },
  'max-unsigned': { type: 'string' },
  json: { type: 'boolean' },
  version: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

type Option = keyof typeof options

/** What a command takes beside --config. */
const commands: Readonly<Record<string, readonly Option[]>> = {
  serve: [],
  check: [],
  doctor: ['json'],
  explain: ['email', 'groups', 'json'],
  forget: ['principal'],
  'audit verify': ['file', 'public-key', 'max-unsigned'],
}

export function parseCommandLine(args: readonly string[]): Command {
  // Not strict: its errors come one by one and without the nearest word.
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  if (values.help === true) return { kind: 'help' }
  if (values.version === true) return { kind: 'version' }
  const given = tokens.filter((token) => token.kind === 'option')
  for (const { name, rawName, value } of given) {
    if (!isOption(name)) {
      return mistake(`unknown option '${rawName}'`, nearest(name, Object.keys(options)), '--')
    }
    if (options[name].type === 'string' && (value === undefined || value === '')) {
      return mistake(
        `option '${rawName}' needs ${name === 'config' ? 'the path of a file' : 'a value'}`,
      )
    }
  }
  const { command, more } = splitCommand(positionals)
  const takes = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (takes === undefined) {
    const known = Object.keys(commands).filter((name) => name !== 'serve')
    // Half of a command of two words is no typing slip of the whole.
    const begun = known.filter((name) => name.startsWith(`${command} `))
    return mistake(
      `unknown command '${command}'`,
      begun.length > 0 ? begun : nearest(command, known),
    )
  }
  if (more.length > 0) return mistake(`unexpected argument '${more[0]}'`)
  const stray = given.find(({ name }) => name !== 'config' && !takes.some((own) => own === name))
  if (stray !== undefined) {
    const owners = Object.keys(commands).filter((name) =>
      commands[name]?.some((own) => own === stray.name),
    )
    return mistake(`option '${stray.rawName}' belongs to the command ${owners.join(' or ')}`)
  }
  return build(command, values)
}

/** The first word, or the two of a command that has two. */
function splitCommand(words: readonly string[]): { command: string; more: readonly string[] } {
  const [first = 'serve', second, ...rest] = words
  const both = `${first} ${second}`
  if (second !== undefined && Object.hasOwn(commands, both)) return { command: both, more: rest }
  return { command: first, more: words.slice(1) }
}

type Values = Readonly<Partial<Record<Option, string | boolean | (string | boolean)[]>>>

function build(command: string, values: Values): Command {
  const textOf = (name: Option): string | undefined => {
    const value = values[name]
    return typeof value === 'string' ? value : undefined
  }
  const config = textOf('config')
  const json = values.json === true
  switch (command) {
    case 'check':
      return { kind: 'check', config }
    case 'doctor':
      return { kind: 'doctor', config, json }
    case 'explain': {
      const groups = (textOf('groups') ?? '').split(',').map((group) => group.trim())
      return {
        kind: 'explain',
        config,
        email: textOf('email'),
        groups: groups.filter((group) => group !== ''),
        json,
      }
    }
    case 'forget': {
      const principal = textOf('principal')
      if (principal === undefined) return mistake("the command forget needs '--principal SUB'")
      return { kind: 'forget', config, principal }
    }
    case 'audit verify': {
      const files = [values.file ?? []].flat().filter((file) => typeof file === 'string')
      if (files.length === 0) return mistake("the command audit verify needs '--file FILE'")
      const asked = textOf('max-unsigned')
      const maxUnsigned = asked === undefined ? undefined : readUnsignedMax(asked)
      if (maxUnsigned === null) {
        return mistake(`'--max-unsigned ${asked}' is neither a number of records nor a time as 15m`)
      }
      return { kind: 'verify-audit', files, publicKey: textOf('public-key'), maxUnsigned }
    }
    default:
      return { kind: 'serve', config }
  }
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/** `500`, `90s`, `15m`, `2h`; null for anything else. */
function readUnsignedMax(text: string): UnsignedMax | null {
  const [, digits = '', unit] = /^(\d{1,9})([smh])?$/.exec(text) ?? []
  if (digits === '') return null
  const count = Number(digits)
  const ms = unit === undefined ? undefined : unitMs[unit]
  return ms === undefined ? { kind: 'records', count } : { kind: 'age', ms: count * ms }
}

function isOption(name: string): name is Option {
  return Object.hasOwn(options, name)
}

function mistake(problem: string, close: readonly string[] = [], prefix = ''): Command {
  const hint =
    close.length === 0 ? '' : `; did you mean ${close.map((word) => prefix + word).join(' or ')}?`
  return { kind: 'mistake', message: `error: ${problem}${hint}\nRun 'gateway --help' for usage.` }
}
