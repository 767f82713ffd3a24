/** `${VAR}` and `${file:…}`: what is replaced, what stays, and what is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expand, type Expansion, looksUnexpanded } from '../../lib/config/expand.ts'

const environment = { A: '1', EMPTY: '', '1BAD': 'digit first', NESTED: '${A}', LONG_NAME: 'x' }

function expandText(text: string, readFile?: (path: string) => Uint8Array): Expansion {
  const none = (): never => assert.fail('nothing to read')
  return expand(text, { environment, readFile: readFile ?? none })
}

const text = (from: string): string => {
  const expansion = expandText(from)
  assert.ok(expansion.kind === 'text')
  return expansion.text
}

test('expand: a variable is replaced anywhere in a text, as often as it stands there', () => {
  assert.equal(text('${A}'), '1')
  assert.equal(text('x${A}y${A}'), 'x1y1')
  assert.equal(text('${1BAD}'), 'digit first')
})

test('expand: an empty variable is an empty text', () => {
  assert.equal(text('${EMPTY}'), '')
  assert.equal(text('a${EMPTY}b'), 'ab')
})

test('expand: there is no escape, and what was put in is not looked at again', () => {
  assert.equal(text('$${A}'), '$1')
  assert.equal(text('${NESTED}'), '${A}')
})

test('expand: every other form stays as written', () => {
  for (const literal of [
    '$A',
    '${A:-d}',
    '${}',
    '${ A }',
    '${A',
    '$',
    'x${file:/etc/hosts}',
    '${a.b}',
  ]) {
    const expansion = expandText(literal)
    assert.deepEqual(expansion, { kind: 'text', text: literal, references: [] })
  }
})

test('expand: what was replaced is named, so that its value can be hidden', () => {
  const expansion = expandText('${A}-${EMPTY}')
  assert.ok(expansion.kind === 'text')
  assert.deepEqual(expansion.references, ['${A}', '${EMPTY}'])
})

test('expand: every undefined variable is named once, with the nearest that exist', () => {
  const expansion = expandText('${LONG_NAM} ${NOPE} ${LONG_NAM}')
  assert.ok(expansion.kind === 'failed')
  assert.deepEqual(expansion.problems, [
    {
      expected: 'the environment variable LONG_NAM to be set',
      found: 'no such variable',
      nearest: ['LONG_NAME'],
    },
    { expected: 'the environment variable NOPE to be set', found: 'no such variable', nearest: [] },
  ])
})

test('expand: what objects inherit is no variable', () => {
  assert.equal(expandText('${constructor}').kind, 'failed')
  assert.equal(expandText('${toString}').kind, 'failed')
})

test('expand: a file as the whole value is read and trimmed', () => {
  const expansion = expandText('${file:/run/secrets/a b}', (path) => {
    assert.equal(path, '/run/secrets/a b')
    return Buffer.from('\n  s3cret\r\n')
  })
  assert.deepEqual(expansion, {
    kind: 'text',
    text: 's3cret',
    references: ['${file:/run/secrets/a b}'],
  })
})

test('expand: a reference inside a file stays as it is', () => {
  const expansion = expandText('${file:/f}', () => Buffer.from('${A}'))
  assert.ok(expansion.kind === 'text')
  assert.equal(expansion.text, '${A}')
})

test('expand: a file that cannot be read is refused with its path and the reason', () => {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: '/f: there is no such file',
    EISDIR: '/f: it is a directory',
    EACCES: '/f: this user may not read it',
    EFBIG: '/f: it is too large',
    EWHATEVER: '/f: it cannot be read (EWHATEVER)',
  }
  for (const [code, reason] of Object.entries(reasons)) {
    const expansion = expandText('${file:/f}', () => {
      throw Object.assign(new Error(code), { code })
    })
    assert.ok(expansion.kind === 'failed')
    assert.equal(expansion.problems[0]?.found, reason)
  }
})

test('expand: a relative path and bytes that are no text are refused', () => {
  const relative = expandText('${file:secret}')
  assert.ok(relative.kind === 'failed')
  assert.equal(relative.problems[0]?.found, 'the relative path "secret"')
  const binary = expandText('${file:/f}', () => Buffer.from([0xc3, 0x28]))
  assert.ok(binary.kind === 'failed')
  assert.equal(binary.problems[0]?.found, '/f: it is not UTF-8 text')
})

test('expand: texts that look as if they should have been replaced are told apart', () => {
  for (const suspicious of ['Bearer ${file:/t}', '${A:-d}', '${A-d}', '${A:?x}', '${A=x}']) {
    assert.ok(looksUnexpanded(suspicious), suspicious)
  }
  for (const fine of ['$A', 'a $ {b}', '${}', 'cost: 5$']) assert.ok(!looksUnexpanded(fine), fine)
})
