/** Changes the file of a gateway that runs, and waits for what becomes of it. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GatewayProcess } from './gateway.ts'

/** Twenty seconds; a reload asks a provider and a database, beside other specs. */
const turnsMax = 1000

/** Asks for the new configuration and waits until it is in use; or refused, with `isGood` false. */
export async function reload(
  gateway: GatewayProcess,
  config: Readonly<Record<string, unknown>>,
  isGood = true,
): Promise<void> {
  const over = isGood ? / reload \(.*in use now/ : / reload \(.*stays in use/
  const before = gateway.lines.length
  gateway.reconfigure(config)
  gateway.kill('SIGHUP')
  for (let turn = 0; turn < turnsMax; turn++) {
    const since = gateway.lines.slice(before)
    if (since.some((line) => over.test(line))) return
    await sleep(20)
  }
  assert.fail(`nothing came of it:\n${gateway.lines.slice(before).join('\n')}`)
}
