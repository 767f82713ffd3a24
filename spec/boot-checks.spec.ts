import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { warnOfMetadata } from '../lib/boot-checks.ts'
import { metadataReachable } from '../lib/egress/guard.ts'
import { systemClock } from '../lib/kernel/clock.ts'
import { createRecorder } from './support/recorder.ts'

test('boot checks: a metadata service that answers is warned of, one that does not is no word (F343)', async () => {
  const metadata = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(metadata, 'listening')
  const address = metadata.address()
  assert.ok(typeof address === 'object' && address !== null)
  const asked = () => metadataReachable(systemClock, '127.0.0.1', address.port)
  const { log, lines } = createRecorder()
  await warnOfMetadata(log, asked)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /^warn the metadata service .*169\.254\.169\.254.* is reachable/)
  metadata.close()
  await once(metadata, 'close')
  await warnOfMetadata(log, asked)
  assert.equal(lines.length, 1)
})
