import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetricsListener } from '../../lib/metrics/listener.ts'
import { createRegistry } from '../../lib/metrics/registry.ts'
import { send } from '../support/client.ts'
import { createRecorder } from '../support/recorder.ts'

test('metrics listener: a number that cannot be had fails the scrape, and only this one', async (t) => {
  const registry = createRegistry()
  let broken = true
  registry.counter('a_total', 'Fine.').with().add()
  registry.gauge('b', 'Sometimes not.', () => {
    if (broken) throw new Error('the source is gone')
    return [{ value: 1 }]
  })
  const { log, lines } = createRecorder()
  const config = { host: '127.0.0.1', port: 0, path: '/metrics' }
  const listener = createMetricsListener(config, () => registry.text(), log)
  const port = await listener.listen()
  t.after(() => listener.close())
  const url = `http://127.0.0.1:${port}/metrics`
  const failed = await send(url)
  assert.deepEqual([failed.status, failed.body], [500, ''])
  assert.equal((await send(url, { method: 'HEAD' })).status, 500)
  assert.deepEqual(
    [...new Set(lines)],
    ['error extensions.metrics: a scrape failed: the source is gone'],
  )
  broken = false
  const reply = await send(url)
  assert.equal(reply.status, 200)
  assert.match(reply.body, /^a_total 1\n[^]*^b 1\n/m)
})
