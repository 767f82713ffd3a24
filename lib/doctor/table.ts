/**
 * Findings as people read them on a terminal: a table of aligned columns, every fix on the lines
 * under its problem. Pure; bin prints what comes out.
 */
import type { Finding } from './finding.ts'

/** Wider cells are wrapped: a terminal of 120 columns shows two of them and the rest. */
const seenWidth = 72

export function formatFindings(findings: readonly Finding[]): string {
  const checkWidth = Math.max(5, ...findings.map(({ check }) => check.length))
  const indent = ' '.repeat(checkWidth + 8)
  const lines = [`${'CHECK'.padEnd(checkWidth)}  RESULT  SEEN`.trimEnd()]
  for (const finding of findings) {
    const [first = '', ...more] = wrap(finding.seen)
    lines.push(`${finding.check.padEnd(checkWidth)}  ${finding.result.padEnd(6)}  ${first}`)
    lines.push(...more.map((line) => `${indent}  ${line}`))
    if (finding.result === 'ok') continue
    const [fix = '', ...rest] = wrap(finding.fix)
    lines.push(`${indent}  -> ${fix}`, ...rest.map((line) => `${indent}     ${line}`))
  }
  return `${lines.join('\n')}\n\n${summary(findings)}\n`
}

export function summary(findings: readonly Finding[]): string {
  const count = (result: Finding['result']): number =>
    findings.filter((finding) => finding.result === result).length
  return `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`
}

/** Nothing is cut: a word longer than the width, such as an address, stays whole. */
function wrap(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of oneLine(text).split(' ')) {
    if (line !== '' && line.length + 1 + word.length > seenWidth) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/** Some of it comes from servers: nothing may move the cursor of the operator's terminal. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is removed here
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F\u2028\u2029]+/g, ' ')
}
