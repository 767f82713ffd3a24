/** What is said of values that do not have their shape. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkShape, type ShapeReport } from '../../lib/policy/shape-check.ts'
import { is, type Shape } from '../../lib/policy/shape.ts'

/** One line per finding: `path: expected …` or `path: (warning)`. */
const findings = (value: unknown, shape: Shape): string[] => {
  const lines: string[] = []
  const report: ShapeReport = {
    error: (path, { expected, nearest = [] }) => {
      lines.push(
        `${path.join('.')}: ${expected}${nearest.length > 0 ? ` ~ ${nearest.join()}` : ''}`,
      )
    },
    warn: (path, text) => lines.push(`${path.join('.')}: (${text})`),
    slip: (path, close) => lines.push(`${path.join('.')}: (slip ~ ${close.join()})`),
  }
  checkShape(value, shape, ['k'], report)
  return lines
}

const cases: readonly [what: string, value: unknown, shape: Shape, lines: string[]][] = [
  ['fitting scalars are fine', true, is.flag, []],
  ['anything is anything', { a: [null] }, is.anything, []],
  ['a text is not a number', 'x', is.number, ['k: a number']],
  ['null is no text', null, is.text, ['k: text']],
  ['a number knows its bounds', 1.5, is.whole, ['k: a whole number']],
  ['a form is matched', 'x', is.url, ['k: a URL']],
  [
    'a misspelled word is corrected',
    'stabel',
    is.word('stable', 'rc'),
    ['k: one of stable, rc ~ stable'],
  ],
  ['a single word is named', 'off', is.word('disable'), ['k: the word disable']],
  ['a list is a list', {}, is.list(is.text), ['k: a list']],
  ['entries are named by place', ['a', 1], is.list(is.text), ['k.1: text']],
  ['a filled list has entries', [], is.filledList(is.text), ['k: a list with at least one entry']],
  ['values of a map are checked', { a: 1 }, is.map(is.flag), ['k.a: true or false']],
  [
    'names of a map are checked',
    { 'a b': true },
    is.map(is.flag, /^\w+$/),
    ['k.a b: a name of letters, digits, - and _'],
  ],
  ['a block is no list', [], is.block({}), ['k: a block of keys']],
  ['a missing key is missed', {}, is.block({ a: is.text }, ['a']), ['k: the key a in this block']],
  ['unknown keys pass an open block', { zzz: 1 }, is.block({ enabled: is.flag }), []],
  [
    'a near miss in an open block is worth a line',
    { enabeld: true },
    is.block({ enabled: is.flag }),
    ['k.enabeld: (slip ~ enabled)'],
  ],
  [
    'a closed block refuses',
    { Stopp: [] },
    is.closedBlock({ Stop: is.list(is.text) }),
    ['k.Stopp: a known key ~ Stop'],
  ],
  [
    'exactly one of several keys',
    { a: 'x', b: 'y' },
    is.oneOf({ a: is.text, b: is.text }),
    ['k: exactly one of a, b in this block'],
  ],
  [
    'a tag chooses the block',
    { type: 'x', url: 5 },
    is.tagged('type', { x: is.block({ url: is.text }) }),
    ['k.url: text'],
  ],
  [
    'an unknown tag is named',
    { type: 'htpp' },
    is.tagged('type', { http: is.block({}), sse: is.block({}) }),
    ['k.type: one of http, sse ~ http'],
  ],
  [
    'a missing tag is missed',
    {},
    is.tagged('type', { http: is.block({}) }),
    ['k: the key type in this block: one of http'],
  ],
  [
    'a prototype name is no tag',
    { type: 'constructor' },
    is.tagged('type', {}),
    ['k.type: one of '],
  ],
  [
    'one of several forms',
    5,
    is.either('text or a list', is.text, is.list(is.text)),
    ['k: text or a list'],
  ],
  [
    'the JSON type chooses the form',
    ['a', 5],
    is.either('text or a list', is.text, is.list(is.text)),
    ['k.1: text'],
  ],
  [
    'a value that clients drop is a warning',
    'vin',
    is.droppable(is.word('vim', 'normal')),
    ['k: (clients will ignore this value: expected one of vim, normal; did you mean vim?)'],
  ],
  [
    'and so is one inside it',
    { a: 5 },
    is.droppable(is.block({ a: is.text })),
    ['k.a: (clients will ignore this value: expected text)'],
  ],
]
for (const [what, value, shape, lines] of cases) {
  test(`shape check: ${what}`, () => {
    assert.deepEqual(findings(value, shape), lines)
  })
}
