/**
 * `npm run bench:top -- FILE…`: the functions of CPU profiles by self time, as Markdown tables.
 * For the files that `npm run bench -- --cpu-prof FOLDER` leaves; any other of V8 will do.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { renderSummary, summarise } from './profile.ts'

/** More than the start of the bundle takes on a busy machine. */
const fromByDefault = '2'

const usage = `usage: npm run bench:top -- [options] FILE.cpuprofile …
  --from SECONDS   leave out this much of the start, ${fromByDefault} unless given
  --count N        functions to show, 10 unless given`

function readNumber(option: string, text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0) {
    throw new Error(`${option} takes a number, not "${text}"`)
  }
  return value
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      from: { type: 'string', default: fromByDefault },
      count: { type: 'string', default: '10' },
    },
  })
  if (positionals.length === 0) throw new Error('no profile given')
  const from = readNumber('--from', values.from)
  const count = readNumber('--count', values.count)
  for (const path of positionals) {
    const summary = summarise(readFileSync(path, 'utf8'), from)
    process.stdout.write(`${path}\n\n${renderSummary(summary, count)}\n\n`)
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`)
  process.exitCode = 1
}
