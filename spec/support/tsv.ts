/** Reads tables of recorded facts: one record per line, keyed by the first line's names. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Rows of `spec/fixtures/<path>`; a cell that is not there is empty, `# …` is no row. */
export function readTable(path: string): readonly Readonly<Record<string, string>>[] {
  const text = readFileSync(join(import.meta.dirname, '../fixtures', path), 'utf8')
  const [head = '', ...lines] = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('# '))
  const names = head.split('\t')
  return lines.map((line) => {
    const cells = line.split('\t')
    return Object.fromEntries(names.map((name, index) => [name, cells[index] ?? '']))
  })
}

/** The end of a JSON document of which a table has only the beginning. */
const documentEnd = '"},"request_id":"req_x"}'

/** A cell as long as it was: tables shorten a long run of one letter, `yyy…(1000 chars)`. */
export function writeOut(cell: string): string {
  const cut = /^(.*(.))…\((\d+) chars\)$/.exec(cell)
  if (cut === null) return cell
  const [, start = '', letter = '', length = ''] = cut
  const end = start.startsWith('{') ? documentEnd : ''
  return start + letter.repeat(Number(length) - start.length - end.length) + end
}
