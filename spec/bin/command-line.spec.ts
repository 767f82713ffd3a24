import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCommandLine } from '../../bin/command-line.ts'

function mistakeOf(...args: string[]): string {
  const command = parseCommandLine(args)
  assert.equal(command.kind, 'mistake')
  return command.kind === 'mistake' ? command.message : ''
}

test('command line: serving and checking take the file in either form', () => {
  assert.deepEqual(parseCommandLine([]), { kind: 'serve', config: undefined })
  assert.deepEqual(parseCommandLine(['--config', 'a.yaml']), { kind: 'serve', config: 'a.yaml' })
  assert.deepEqual(parseCommandLine(['--config=a.yaml']), { kind: 'serve', config: 'a.yaml' })
  assert.deepEqual(parseCommandLine(['check', '--config', 'a.yaml']), {
    kind: 'check',
    config: 'a.yaml',
  })
  assert.deepEqual(parseCommandLine(['--config', 'a.yaml', 'check']), {
    kind: 'check',
    config: 'a.yaml',
  })
})

test('command line: the doctor takes the file and the form of its report', () => {
  assert.deepEqual(parseCommandLine(['doctor', '--config', 'a.yaml']), {
    kind: 'doctor',
    config: 'a.yaml',
    json: false,
  })
  assert.deepEqual(parseCommandLine(['doctor', '--json']), {
    kind: 'doctor',
    config: undefined,
    json: true,
  })
  assert.match(mistakeOf('check', '--json'), /'--json' belongs to the command doctor/)
})

test('command line: help and version win over everything else', () => {
  assert.deepEqual(parseCommandLine(['--bogus', '--help']), { kind: 'help' })
  assert.deepEqual(parseCommandLine(['check', '--version']), { kind: 'version' })
})

test('command line: an unknown option is named with the nearest one', () => {
  assert.match(mistakeOf('--confg', 'a.yaml'), /unknown option '--confg'; did you mean --config\?/)
  assert.match(mistakeOf('-x'), /unknown option '-x'\n/)
})

test('command line: --config without a path is a mistake', () => {
  assert.match(mistakeOf('--config'), /needs the path of a file/)
  assert.match(mistakeOf('--config='), /needs the path of a file/)
})

test('command line: unknown commands and further arguments are mistakes', () => {
  assert.match(mistakeOf('chek'), /unknown command 'chek'; did you mean check\?/)
  assert.match(mistakeOf('check', 'extra'), /unexpected argument 'extra'/)
})

test('command line: explain takes a person, forget needs a principal', () => {
  assert.deepEqual(parseCommandLine(['explain', '--email', 'a@b.c', '--groups', 'eng, ops,']), {
    kind: 'explain',
    config: undefined,
    email: 'a@b.c',
    groups: ['eng', 'ops'],
    json: false,
  })
  assert.deepEqual(parseCommandLine(['forget', '--principal', 'u-1', '--config', 'a.yaml']), {
    kind: 'forget',
    config: 'a.yaml',
    principal: 'u-1',
  })
  assert.match(mistakeOf('forget'), /needs '--principal SUB'/)
  assert.match(mistakeOf('--email', 'a@b.c'), /'--email' belongs to the command explain/)
  assert.match(mistakeOf('explain', '--email'), /'--email' needs a value/)
  assert.match(mistakeOf('explian'), /did you mean explain\?/)
  assert.match(mistakeOf('constructor'), /unknown command 'constructor'/)
})

test('command line: audit verify is two words and takes a file', () => {
  assert.deepEqual(
    parseCommandLine(['audit', 'verify', '--file', 'a.log', '--public-key', 'k.pem']),
    {
      kind: 'verify-audit',
      files: ['a.log'],
      publicKey: 'k.pem',
      maxUnsigned: undefined,
    },
  )
  assert.deepEqual(parseCommandLine(['audit', 'verify', '--file', 'a.1', '--file', 'a']), {
    kind: 'verify-audit',
    files: ['a.1', 'a'],
    publicKey: undefined,
    maxUnsigned: undefined,
  })
  const maxOf = (text: string): unknown => {
    const command = parseCommandLine(['audit', 'verify', '--file', 'a', '--max-unsigned', text])
    return command.kind === 'verify-audit' ? command.maxUnsigned : command.kind
  }
  assert.deepEqual(maxOf('0'), { kind: 'records', count: 0 })
  assert.deepEqual(maxOf('500'), { kind: 'records', count: 500 })
  assert.deepEqual(maxOf('90s'), { kind: 'age', ms: 90_000 })
  assert.deepEqual(maxOf('2h'), { kind: 'age', ms: 7_200_000 })
  for (const text of ['-1', '1d', 'many', '1.5', 's', '9999999999']) {
    assert.equal(maxOf(text), 'mistake', text)
  }
  assert.match(mistakeOf('audit', 'verify'), /needs '--file FILE'/)
  assert.match(mistakeOf('audit'), /unknown command 'audit'; did you mean audit verify\?/)
})
