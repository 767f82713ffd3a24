import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '../../lib/kernel/log.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function createLines(level: Parameters<typeof createLog>[0]) {
  const lines: string[] = []
  const clock = createFakeClock(Date.parse('2026-11-23T10:00:00.007Z'))
  return { lines, clock, ...createLog(level, (line) => lines.push(line), clock) }
}

test('log: an operational line has its fixed form', () => {
  const { lines, log } = createLines('info')
  log.warn('proxy variable without use_proxy')
  assert.deepEqual(lines, [
    '[gateway] 2026-11-23T10:00:00.007Z warn proxy variable without use_proxy\n',
  ])
})

test('log: lines below the level are left out, audit lines never are', () => {
  const { lines, log, audit } = createLines('error')
  log.debug('a')
  log.info('b')
  log.warn('c')
  log.error('d')
  audit('config.load', { path: 'gateway.yaml', sha256: 'ab' })
  assert.deepEqual(lines, [
    '[gateway] 2026-11-23T10:00:00.007Z error d\n',
    '{"ts":"2026-11-23T10:00:00.007Z","evt":"config.load","path":"gateway.yaml","sha256":"ab"}\n',
  ])
  assert.equal(log.debugs, false)
})

test('log: audit fields keep their order, absent ones are left out and null stays', () => {
  const { lines, audit } = createLines('info')
  audit('inference', { request_id: 'r', sub: 's', email: undefined, upstream: null, status: 200 })
  assert.equal(
    lines[0],
    '{"ts":"2026-11-23T10:00:00.007Z","evt":"inference","request_id":"r","sub":"s","upstream":null,"status":200}\n',
  )
})

test('log: a line break in foreign text cannot forge a second line', () => {
  const { lines, log } = createLines('info')
  log.info('upstream said: x\r\n[gateway] 2026-01-01T00:00:00.000Z error forged\u2028{"evt":"x"}')
  assert.equal(lines.length, 1)
  const line = lines[0] ?? ''
  assert.equal(line.indexOf('\n'), line.length - 1)
  assert.doesNotMatch(line, /[\r\u2028]/)
})

test('log: time moves on between lines', async () => {
  const { lines, clock, log } = createLines('info')
  log.info('a')
  await clock.advance(1)
  log.info('b')
  assert.match(lines[1] ?? '', /10:00:00\.008Z/)
})
