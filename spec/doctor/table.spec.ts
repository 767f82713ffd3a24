import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failed, ok, warned } from '../../lib/doctor/finding.ts'
import { formatFindings } from '../../lib/doctor/table.ts'

test('doctor table: each check has a line, and each problem its fix below it', () => {
  const text = formatFindings([
    ok('Postgres', 'reached'),
    warned('clock', '7 s ahead', 'synchronise it'),
    failed('upstream one', '401', 'replace the key'),
  ])
  assert.equal(
    text,
    [
      'CHECK         RESULT  SEEN',
      'Postgres      ok      reached',
      'clock         warn    7 s ahead',
      '                      -> synchronise it',
      'upstream one  fail    401',
      '                      -> replace the key',
      '',
      '1 ok, 1 to look at, 1 failed',
      '',
    ].join('\n'),
  )
})

test('doctor table: long texts are wrapped between words and nothing of them is lost', () => {
  const seen = Array.from({ length: 60 }, (_, index) => `word${index}`).join(' ')
  const lines = formatFindings([ok('check', seen)]).split('\n')
  assert.ok(lines.every((line) => line.length <= 100))
  const words = lines
    .slice(1, -3)
    .join(' ')
    .split(/\s+/)
    .filter((word) => /^word\d/.test(word))
  assert.deepEqual(words, seen.split(' '))
})

test('doctor table: what a server said cannot move the cursor of the terminal', () => {
  const text = formatFindings([failed('upstream', '\u001B[2J\u009B1Agone\r\nok', 'fix\u0007')])
  // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
  assert.doesNotMatch(text, /[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/)
})
