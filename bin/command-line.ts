/**
 * What the gateway was asked to do, from its arguments. Pure; `gateway.ts` acts on it.
 */
import { parseArgs } from 'node:util'
import { nearest } from '../lib/kernel/spelling.ts'

export type Command =
  | { readonly kind: 'serve'; readonly config: string | undefined }
  | { readonly kind: 'check'; readonly config: string | undefined }
  | { readonly kind: 'doctor'; readonly config: string | undefined; readonly json: boolean }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'mistake'; readonly message: string }

/** Taken when no --config is given and the file is there. */
export const defaultConfigPath: string = 'gateway.yaml'

export const usage: string = `Usage: gateway [--config FILE]         serve
       gateway check [--config FILE]   validate the file, without network or database
       gateway doctor [--config FILE] [--json]
                                       try everything the file names, change and spend nothing

Options:
  --config FILE   configuration; without it ./${defaultConfigPath} is taken when there is one
  --json          doctor: findings as JSON instead of a table
  --version       print the version
  --help          print this text

Exit codes:
  0   served and drained, the configuration is valid, or the doctor found nothing that fails
  1   wrong arguments, an invalid configuration, or boot failed; standard error says why

Environment:
  CLAUDE_GATEWAY_LOG_LEVEL          debug, info (default), warn or error; audit lines always come
  CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS   how long open requests may run on after SIGTERM (25000)
  CLAUDE_GATEWAY_ALLOW_LOOPBACK     1 allows loopback addresses for issuer and upstreams
  BUN_CONFIG_MAX_HTTP_REQUESTS      requests open at once (8192)

Signals: SIGTERM and SIGINT drain, a second one cuts what is still open.
`

const commands = ['check', 'doctor']
const options = {
  config: { type: 'string' },
  json: { type: 'boolean' },
  version: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

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
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    if (!Object.hasOwn(options, token.name)) {
      return mistake(
        `unknown option '${token.rawName}'`,
        nearest(token.name, Object.keys(options)),
        '--',
      )
    }
    if (token.name === 'config' && (token.value === undefined || token.value === '')) {
      return mistake("option '--config' needs the path of a file")
    }
  }
  const [command, ...more] = positionals
  if (command !== undefined && !commands.includes(command)) {
    return mistake(`unknown command '${command}'`, nearest(command, commands))
  }
  if (more.length > 0) return mistake(`unexpected argument '${more[0]}'`)
  const config = typeof values.config === 'string' ? values.config : undefined
  const json = values.json === true
  if (command === 'doctor') return { kind: 'doctor', config, json }
  if (json) return mistake("option '--json' belongs to the command doctor")
  return { kind: command === undefined ? 'serve' : 'check', config }
}

function mistake(problem: string, close: readonly string[] = [], prefix = ''): Command {
  const hint =
    close.length === 0 ? '' : `; did you mean ${close.map((word) => prefix + word).join(' or ')}?`
  return { kind: 'mistake', message: `error: ${problem}${hint}\nRun 'gateway --help' for usage.` }
}
