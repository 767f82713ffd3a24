/** YAML into places: what is accepted, where things stand, and what must be refused quickly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFindings, type Findings } from '../../lib/config/findings.ts'
import { type Place, placeAt } from '../../lib/config/place.ts'
import { readYaml } from '../../lib/config/read-yaml.ts'

interface Read {
  readonly root: Place | null
  /** `line:column path: found …` */
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

function read(text: string, environment: Record<string, string> = {}): Read {
  let findings: Findings | undefined
  const readFile = (): Uint8Array => Buffer.from('from a file\n')
  const { root } = readYaml(text, { environment, readFile }, (position) => {
    findings = createFindings('f', position)
    return findings
  })
  assert.ok(findings)
  return {
    root,
    errors: findings.problems().map(({ line, column, path, found, expected }) => {
      const variable = /variable (\w+)/.exec(expected)?.[1]
      return `${line}:${column} ${path}: ${found}${variable === undefined ? '' : ` (${variable})`}`
    }),
    warnings: findings
      .warnings()
      .map(({ line, column, path, text: said }) => `${line}:${column} ${path}: ${said}`),
  }
}

function value(text: string, environment?: Record<string, string>): unknown {
  const { root, errors } = read(text, environment)
  assert.deepEqual(errors, [])
  return root?.value
}

test('yaml: scalars are those of YAML 1.2', () => {
  assert.deepEqual(
    value('a: 1\nb: 0x10\nc: 1e3\nd: true\ne: yes\nf: ~\ng: 012\nh: 2026-11-23\ni: "5"\nj: .5'),
    { a: 1, b: 16, c: 1000, d: true, e: 'yes', f: null, g: 12, h: '2026-11-23', i: '5', j: 0.5 },
  )
})

test('yaml: block, flow, folded and quoted forms all become plain data', () => {
  assert.deepEqual(value('a: [1, {b: c}]\nd: |\n  x\n  y\ne: >-\n  x\n  y\nf: "\\u00e9"'), {
    a: [1, { b: 'c' }],
    d: 'x\ny\n',
    e: 'x y',
    f: 'é',
  })
})

test('yaml: keys are text, whatever they look like', () => {
  assert.deepEqual(value('1: a\ntrue: b\n~: c'), { 1: 'a', true: 'b', '~': 'c' })
})

test('yaml: every value knows where it stands', () => {
  const { root } = read('a:\n  - b: 1\n    c: two\n')
  assert.ok(root)
  assert.equal(placeAt(root, ['a', 0, 'c'])?.at, 'a:\n  - b: 1\n    c: '.length)
  assert.equal(placeAt(root, ['a', 1]), undefined)
  assert.equal(placeAt(root, ['a', 0, 'c', 'd']), undefined)
})

test('yaml: references are replaced in values, not in keys and comments', () => {
  assert.deepEqual(value('${A}: x${A}y # ${NOPE}\nb: "${file:/f}"', { A: '1' }), {
    '${A}': 'x1y',
    b: 'from a file',
  })
})

test('yaml: a value that came out of a reference says so', () => {
  const { root } = read('a: ${A}-${B}\nb: plain', { A: '1', B: '2' })
  assert.ok(root)
  assert.deepEqual(placeAt(root, ['a'])?.references, ['${A}', '${B}'])
  assert.deepEqual(placeAt(root, ['b'])?.references, [])
})

test('yaml: a reference that cannot be followed is a problem where it stands', () => {
  assert.deepEqual(read('a:\n  b: x${NOPE}${NADA}').errors, [
    '2:6 a.b: no such variable (NOPE)',
    '2:6 a.b: no such variable (NADA)',
  ])
  assert.deepEqual(read('a:\n  - "${file:x}"').errors, ['2:5 a.0: the relative path "x"'])
})

test('yaml: what looks like a reference but is none is warned about, except in policies', () => {
  assert.match(read('a: "x${file:/f}"').warnings.join(), /^1:4 a: stays as written/)
  assert.match(read('a: "${A:-b}"').warnings.join(), /^1:4 a: stays as written/)
  assert.deepEqual(read('managed: "${A:-b}"\nb: $A').warnings, [])
})

test('yaml: aliases repeat a value, merge keys fill a block', () => {
  const text = `
base: &base { a: 1, b: { c: 2 } }
copy: *base
own: { <<: *base, a: 9 }
both: { <<: [{ a: 5 }, *base] }
`
  assert.deepEqual(value(text), {
    base: { a: 1, b: { c: 2 } },
    copy: { a: 1, b: { c: 2 } },
    own: { a: 9, b: { c: 2 } },
    both: { a: 5, b: { c: 2 } },
  })
})

test('yaml: the last anchor of a name counts, for aliases after it', () => {
  assert.deepEqual(value('a: &x 1\nb: *x\nc: &x 2\nd: *x'), { a: 1, b: 1, c: 2, d: 2 })
})

test('yaml: a quoted << is a key like any other', () => {
  assert.deepEqual(value('"<<": { a: 1 }'), { '<<': { a: 1 } })
})

test('yaml: only blocks can be merged', () => {
  assert.deepEqual(read('a: { <<: 5 }').errors, ['1:6 a."<<": something else'])
  assert.deepEqual(read('a: { <<: [{ b: 1 }, 5] }').errors, ['1:6 a."<<": something else'])
})

test('yaml: a key that stands twice is a warning with both lines, and the last one counts', () => {
  const { root, errors, warnings } = read('a: 1\nb: 2\na: 3\n')
  assert.deepEqual(errors, [])
  assert.deepEqual(root?.value, { a: 3, b: 2 })
  assert.deepEqual(warnings, ['3:1 a: stands on line 1 and again on line 3; the last one counts'])
})

test('yaml: prototype keys are refused by name and never become members', () => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const { root, errors } = read(`x:\n  - { ${name}: { polluted: true }, b: 1 }`)
    assert.deepEqual(errors, [`2:7 x.0.${name}: unknown key "${name}"`])
    assert.deepEqual(root?.value, { x: [{ b: 1 }] })
  }
  const merged = read('a: &a { __proto__: { polluted: true } }\nb: { <<: *a }')
  assert.deepEqual(merged.root?.value, { a: {}, b: {} })
  assert.equal(Reflect.get({}, 'polluted'), undefined)
})

test('yaml: a second document, complex keys and unknown tags are named', () => {
  assert.deepEqual(read('a: 1\n---\nb: 2\n').errors, ['2:1 : a second one after ---'])
  assert.match(read('? [a, b]\n: 1\n').errors.join(), /a list, a block or a tagged value as key/)
  const tagged = read('a: !secret x\nb: !!binary aGk=')
  assert.deepEqual(tagged.root?.value, { a: 'x', b: 'aGk=' })
  assert.equal(tagged.warnings.length, 2)
  assert.match(tagged.warnings.join(), /a tag that is not known/)
})

test('yaml: a file that asks for YAML 1.1 is read by the same rules', () => {
  assert.deepEqual(value('%YAML 1.1\n---\na: yes\nb: 012\n'), { a: 'yes', b: 12 })
})

test('yaml: broken syntax is one problem with its place, and nothing else is judged', () => {
  for (const text of [
    'listen: [\n',
    'a: b: c\n',
    'a: "x\n',
    '\ta: 1\n',
    'a:\n  b: 1\n c: 2\n',
    '@',
  ]) {
    const { root, errors } = read(`${text}`)
    assert.equal(root, null, text)
    assert.equal(errors.length >= 1 && errors.length <= 2, true, `${text}: ${errors.join(' | ')}`)
    assert.match(errors[0] ?? '', /^\d+:\d+ : \S/)
  }
})

test('yaml: no message quotes the text it complains about', () => {
  const secret = 'hunter2'
  const texts = [
    `a: "${secret}\n`,
    `a: @${secret}\n`,
    `${secret}: b: ${secret}\n`,
    `a: *${secret}\n`,
    `a: !${secret} x\n`,
    `%${secret}\n---\na: 1`,
    `a: "\\${secret}"`,
    `a: [${secret}: {\n`,
    `- ${secret}\n${secret}: x\n`,
  ]
  for (const text of texts) {
    const { errors, warnings } = read(text)
    const said = [...errors, ...warnings].join('\n')
    assert.notEqual(said, '', text)
    assert.ok(!said.includes(secret), said)
  }
})

test('yaml: an alias inside its own anchor is refused', () => {
  assert.deepEqual(read('a: &a [*a]').errors, ['1:8 a.0: an alias of itself'])
  assert.deepEqual(read('a: &a { b: { c: *a } }').errors, ['1:17 a.b.c: an alias of itself'])
  assert.deepEqual(read('a: &a\n  <<: *a\n').errors, [
    '2:3 a."<<": something else',
    '2:7 a."<<": an alias of itself',
  ])
})

test('yaml: an alias without an anchor before it is refused', () => {
  assert.deepEqual(read('a: *b\nb: &b 1').errors, ['1:4 a: an alias without an anchor before it'])
})

test('yaml: aliases that multiply are refused at once', () => {
  const levels = Array.from(
    { length: 30 },
    (_, level) => `l${level}: &l${level} [${`*l${level - 1}, `.repeat(9)}1]`,
  )
  const bomb = `l0: &l0 [1]\n${levels.slice(1).join('\n')}\n`
  const started = process.hrtime.bigint()
  const { root, errors } = read(bomb)
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  assert.equal(root, null)
  assert.deepEqual(errors, ['1:1 : aliases that multiply beyond it'])
  // A tenth of this on an idle machine; the bound is what the product promises.
  assert.ok(seconds < 1, `${seconds} s`)
})

test('yaml: merge keys that multiply are refused too', () => {
  const levels = Array.from(
    { length: 40 },
    (_, level) => `l${level}: &l${level} { a: *l${level - 1}, b: *l${level - 1} }`,
  )
  assert.equal(read(`l0: &l0 { c: 1 }\n${levels.slice(1).join('\n')}\n`).root, null)
})

test('yaml: values may be shared as often as a real file does', () => {
  const text = `a: &a [1, 2, 3]\n${Array.from({ length: 500 }, (_, n) => `k${n}: *a`).join('\n')}\n`
  assert.equal(read(text).root?.size, 1 + 4 * 501)
})

test('yaml: endless nesting is refused, whether the parser survives it or not', () => {
  const deep = (depth: number): string => `a: ${'['.repeat(depth)}${']'.repeat(depth)}`
  assert.deepEqual(read(deep(20)).errors, [])
  assert.match(read(deep(200)).errors[0] ?? '', / a(\.0)+: more$/)
  const started = process.hrtime.bigint()
  const { errors } = read(deep(100_000))
  assert.match(errors[0] ?? '', /more$/)
  assert.ok(Number(process.hrtime.bigint() - started) / 1e9 < 5)
})
