/** The kinds of value configurations are made of: what each takes, and the words it brings. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { shapeOf } from '../../lib/config/shape.ts'
import { httpUrl, isHttpUrl } from '../../lib/schema/address.ts'
import { filledList, filledMap, list, map, openBlock } from '../../lib/schema/collection.ts'
import { anyOf, choice, convert, exactly, refine, variant } from '../../lib/schema/combine.ts'
import { block, defaulted, optional, required, type Schema, value } from '../../lib/schema/field.ts'
import {
  flag,
  form,
  groupName,
  numberAbove,
  numberFrom,
  secret,
  text,
  wholeNumber,
} from '../../lib/schema/value.ts'

function takes(schema: Schema<unknown>, fine: readonly unknown[], bad: readonly unknown[]): void {
  for (const one of fine) assert.ok(v.safeParse(schema, one).success, JSON.stringify(one))
  for (const one of bad) assert.ok(!v.safeParse(schema, one).success, JSON.stringify(one))
}

test('value: flags, texts and secrets', () => {
  takes(flag, [true, false], ['true', 1, null])
  takes(text(), ['x', ' '], ['', 5, null, undefined])
  takes(text(0), [''], [5])
  takes(text(1, 3), ['abc'], ['abcd', ''])
  takes(secret(3), ['abc'], ['ab', 5])
  takes(secret(0), [''], [null])
  takes(form(/^a+$/, 'some a'), ['aa'], ['b', ''])
  takes(
    form((word) => word === 'a', 'an a'),
    ['a'],
    ['b'],
  )
  takes(groupName, ['a', ' a '], ['', '  ', '\t'])
})

test('value: numbers have ends, and nothing that is no number', () => {
  takes(wholeNumber(1), [1, 9e15], [0, 1.5, '1', Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
  takes(wholeNumber(0, 5), [0, 5], [-1, 6])
  takes(numberAbove(0), [0.01, 1e6], [0, -1, Number.POSITIVE_INFINITY, Number.NaN])
  takes(numberAbove(0, 10), [10], [10.5])
  takes(numberFrom(0, 600), [0, 9.5, 600], [-0.1, 600.1, Number.NaN])
})

test('value: lists and maps', () => {
  takes(list(flag), [[], [true]], [[1], 'x', null])
  takes(filledList(flag), [[true]], [[]])
  takes(map(flag), [{}, { a: true }], [{ a: 1 }, null])
  takes(filledMap(flag), [{ a: true }], [{}])
  takes(openBlock, [{}, { a: [{ b: null }] }], ['x', null])
})

test('value: one of several words, forms or blocks', () => {
  takes(choice(['a', 'b']), ['a'], ['c', null])
  takes(exactly('a'), ['a'], ['b'])
  takes(anyOf([flag, text()], { expected: 'either' }), [true, 'x'], [5])
  const either = variant<{ kind: string }>('kind', [
    block<{ kind: string }>({ kind: required(exactly('a'), 'Kind.') }),
    block<{ kind: string }>({ kind: required(exactly('b'), 'Kind.') }),
  ])
  takes(either, [{ kind: 'a' }, { kind: 'b' }], [{ kind: 'c' }, {}, { kind: 'a', x: 1 }])
})

test('value: URLs are http or https, and hold no white space', () => {
  takes(
    httpUrl,
    ['http://x', 'https://x/y?z', 'https://[::1]:1'],
    ['x', 'ftp://x', 'https://', ' https://x', 'https://x\n', 'https:// x'],
  )
  assert.ok(isHttpUrl('http://a'))
  assert.ok(!isHttpUrl('javascript:alert(1)'))
})

test('value: a rule about the whole brings its own words, a conversion keeps the old', () => {
  const even = refine(wholeNumber(0), (number) => number % 2 === 0, 'an even number')
  const [issue] = v.safeParse(even, 3).issues ?? []
  assert.equal(issue?.message, 'an even number')
  const doubled = convert(wholeNumber(0), (number) => number * 2)
  assert.equal(v.parse(doubled, 2), 4)
  assert.equal(shapeOf(doubled).expected, 'a whole number of at least 0')
})

test('value: keys are needed, optional or filled in', () => {
  const schema = block<{ a: string; b?: string | undefined; c: readonly number[] }>({
    a: required(text(), 'A.'),
    b: optional(text(), 'B.'),
    c: defaulted(list(convert(text(), Number)), 'C.', ['5']),
  })
  assert.deepEqual(v.parse(schema, { a: 'x' }), { a: 'x', c: [5] })
  takes(schema, [{ a: 'x', b: 'y' }], [{}, { a: 'x', z: 1 }, { a: 'x', b: null }])
})

test('value: the words of a value are the last ones given to it', () => {
  const schema = value(text(), { expected: 'a name', secret: true })
  assert.equal(shapeOf(schema).expected, 'a name')
  assert.equal(shapeOf(schema).secret, true)
})
