/** Runs the usage meter over a body in every chunking, for the specs of the meter. */
import assert from 'node:assert/strict'
import { createLog } from '../../lib/kernel/log.ts'
import {
  createMeters,
  type Meter,
  type MeteredReply,
  type OpenMeter,
} from '../../lib/spend/meter.ts'
import type { Usage } from '../../lib/spend/usage.ts'
import type { Outcome } from '../../lib/stream/tap.ts'
import { chunkings } from './chunkings.ts'
import { createFakeClock } from './fake-clock.ts'

/** A maker of meters and the log lines it has written. */
export function createLines(): { lines: string[]; openMeter: OpenMeter } {
  const lines: string[] = []
  const { log } = createLog('debug', (line) => lines.push(line), createFakeClock())
  return { lines, openMeter: createMeters(log) }
}

export const streamed: MeteredReply = {
  contentType: 'text/event-stream; charset=utf-8',
  streams: true,
  model: 'claude-sonnet-4-6',
}
export const document: MeteredReply = {
  ...streamed,
  contentType: 'application/json',
  streams: false,
}

export function run(
  chunks: readonly Uint8Array[],
  reply: MeteredReply,
  outcome: Outcome = 'complete',
): { meter: Meter; lines: string[] } {
  const { lines, openMeter } = createLines()
  const meter = openMeter(reply)
  for (const chunk of chunks) {
    const before = Buffer.from(chunk)
    meter.chunk?.(chunk)
    assert.deepEqual(Buffer.from(chunk), before, 'the meter changed the bytes')
  }
  meter.settle(outcome)
  return { meter, lines }
}

/** The figures of a whole body, the same in every chunking. */
export function measure(body: string, reply: MeteredReply = streamed, outcome?: Outcome): Usage {
  const usage = run([Buffer.from(body)], reply, outcome).meter.usage()
  for (const { name, chunks } of chunkings(body)) {
    assert.deepEqual(
      run(chunks, reply, outcome).meter.usage(),
      usage,
      `${name} of ${body.slice(0, 300)}`,
    )
  }
  return usage
}

/** Input and output tokens, the figures most cases are about. */
export function tokens(body: string, reply: MeteredReply = streamed): readonly [number, number] {
  const { input_tokens, output_tokens } = measure(body, reply)
  return [input_tokens, output_tokens]
}
