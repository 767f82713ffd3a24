/**
 * The command line of `npm run bench`. `main.ts` calls it; a mistake ends the program with a line
 * that says what is allowed, because a benchmark of the wrong thing takes minutes to notice.
 */
import { parseArgs } from 'node:util'
import { bootScenario, scenarios } from './scenarios.ts'

export interface Options {
  readonly scenarios: readonly string[]
  readonly rounds: number
  readonly isQuick: boolean
  readonly out: string | undefined
  /** Another gateway, already running and pointed at the bench's upstream. */
  readonly against:
    | { readonly url: string; readonly token: string; readonly pid?: number }
    | undefined
  /** 0: any free port. Fixed for gateways of `--against`, whose configuration names it. */
  readonly upstreamPort: number
  /** `floor` runs a second floor in the gateway's place and shows the noise of the method. */
  readonly subject: 'bundle' | 'source' | 'floor'
  readonly profileFolder: string | undefined
  /** Caps are configured and every call is counted; goals are then those of spend. */
  readonly spends: boolean
}

/** Nine rounds are the fewest that enclose a median at 95 % without being all of the range. */
const roundsByDefault = 9
const roundsWhenQuick = 3

export const usage: string = `usage: npm run bench -- [options]
  --scenario NAME      only this one; may be repeated. Names: ${scenarioNames().join(', ')}
  --rounds N           alternated rounds, ${roundsByDefault} unless given
  --quick              three rounds of a fifth of the load: a look, not a result
  --out FILE           JSON results; bench/results/<time>.json unless given
  --against URL        one more gateway, in the same rounds; needs --token
  --token T            session token for --against
  --pid P              process of --against, for its CPU and memory
  --upstream-port N    port of the fake upstream on 127.0.0.1, for the configuration of --against
  --source             run bin/gateway.ts instead of the bundle
  --floor-only         a second floor instead of the gateway: the noise of the method
  --spend              with caps and spend on, and their goals
  --cpu-prof FOLDER    write a CPU profile of the gateway at its exit`

/** Throws an Error with a line for the terminal. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      scenario: { type: 'string', multiple: true },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      against: { type: 'string' },
      token: { type: 'string' },
      pid: { type: 'string' },
      'upstream-port': { type: 'string' },
      source: { type: 'boolean', default: false },
      'floor-only': { type: 'boolean', default: false },
      spend: { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
    },
  })
  const chosen = values.scenario ?? scenarioNames()
  for (const name of chosen) {
    if (!scenarioNames().includes(name)) {
      throw new Error(`no scenario "${name}"; there are: ${scenarioNames().join(', ')}`)
    }
  }
  const pid = wholeNumber('--pid', values.pid)
  const { against: url, token } = values
  if ((url === undefined) !== (token === undefined)) {
    throw new Error('--against and --token come together')
  }
  return {
    scenarios: chosen,
    rounds:
      wholeNumber('--rounds', values.rounds) ?? (values.quick ? roundsWhenQuick : roundsByDefault),
    isQuick: values.quick,
    out: values.out,
    against:
      url === undefined || token === undefined
        ? undefined
        : {
            url: new URL(url).href.replace(/\/$/, ''),
            token,
            ...(pid === undefined ? {} : { pid }),
          },
    upstreamPort: wholeNumber('--upstream-port', values['upstream-port']) ?? 0,
    subject: values['floor-only'] ? 'floor' : values.source ? 'source' : 'bundle',
    profileFolder: values['cpu-prof'],
    spends: values.spend,
  }
}

function scenarioNames(): string[] {
  return [...scenarios.map(({ name }) => name), bootScenario.name]
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[1-9]\d*$/.test(text))
    throw new Error(`${option} takes a whole number above 0, not ${text}`)
  return Number(text)
}
