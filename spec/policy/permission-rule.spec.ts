/** The syntax of permission rules, as recorded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ruleProblem } from '../../lib/policy/permission-rule.ts'

const fine = [
  'Bash',
  ' Bash ',
  'Bash(rm *)',
  'Bash(a)(b)',
  'Bash(a(b))',
  'Bash(a(b)',
  'Bash( )',
  'Bash(npm:*)',
  'Bash(npm:*x)',
  'Bash(a\nb)',
  'mcp__x',
  'mcp__x__y',
  'mcp__x__*',
  'NotATool(x)',
  'Foo-Bar',
  'foo_bar',
  'Read(~/x)',
  'Glob(*)',
  'WebFetch(domain:x.com)',
  'WebSearch(x)',
  'WebSearch(*)',
  'É',
  '(x)',
]
for (const rule of fine) {
  test(`permission rule: ${JSON.stringify(rule)} is fine in every list`, () => {
    for (const list of ['allow', 'ask', 'deny'] as const)
      assert.equal(ruleProblem(rule, list), null)
  })
}

const refused = [
  '',
  '  ',
  'bash',
  'Bash(',
  'Bash()',
  'Bash(rm *',
  'Bash rm)',
  'Bash)',
  '(((',
  'Bash(a)b',
  'mcp__x(y)',
  'mcp__x__y(z)',
  'mcp__x()',
  'WebFetch(https://x.com)',
  'WebSearch(a*)',
  'Bash(:*)',
  'Read(a:*)',
  'Edit(:*)',
]
for (const rule of refused) {
  test(`permission rule: ${JSON.stringify(rule)} is refused in every list`, () => {
    for (const list of ['allow', 'ask', 'deny'] as const) {
      assert.equal(typeof ruleProblem(rule, list), 'string')
    }
  })
}

for (const rule of ['*', '*(x)', 'B*', 'Web*', 'mcp__*']) {
  test(`permission rule: ${rule} denies and asks, but cannot allow`, () => {
    assert.equal(ruleProblem(rule, 'deny'), null)
    assert.equal(ruleProblem(rule, 'ask'), null)
    assert.match(ruleProblem(rule, 'allow') ?? '', /must name its server/)
  })
}

test('permission rule: the expected form is spelled out', () => {
  assert.equal(ruleProblem('bash', 'deny'), 'a tool name with a capital letter, Bash')
  assert.equal(ruleProblem('mcp__x__y(z)', 'deny'), 'mcp__x__y without parentheses, or mcp__x__*')
})
