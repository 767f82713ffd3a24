/** Ten million replies at awkward rates: their sum is exact to the last unit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toCents } from '../../lib/spend/amount.ts'
import { createPrice } from '../../lib/spend/price.ts'
import { bookOf, override } from '../support/rate-book.ts'
import { createRandom } from '../support/random.ts'
import { createRecorder } from '../support/recorder.ts'
import { usageWith } from '../support/usage.ts'

const replies = 10_000_000

test('price: ten million replies add up to what their tokens cost together', (t) => {
  const random = createRandom()
  const book = bookOf({
    multiplier: 0.85,
    overrides: [{ ...override('anthropic', 'x', 0.01), output: 0.333_333_333_333_333_3 }],
  })
  const price = createPrice(book, createRecorder().log)
  const served = { upstream: 'anthropic', sent: 'x', asked: 'x' }
  let sum = 0n
  let drifting = 0
  let input_tokens = 0
  let output_tokens = 0
  const started = process.hrtime.bigint()
  for (let reply = 0; reply < replies; reply++) {
    const input = random.below(200_000)
    const output = random.below(8000)
    input_tokens += input
    output_tokens += output
    const amount = price(usageWith({ input_tokens: input, output_tokens: output }), served)
    sum += amount
    drifting += toCents(amount)
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  t.diagnostic(`${replies} replies in ${seconds.toFixed(1)} s; ${toCents(sum)} cents`)
  t.diagnostic(`doubles are off by ${Math.abs(drifting - toCents(sum))} cents`)
  // 0.01 × 0.85 USD per million is 85 × 10^-10 USD; the output rate has 16 places, two more of 0.85.
  const exact =
    BigInt(input_tokens) * 85n * 10n ** 30n +
    BigInt(output_tokens) * 3_333_333_333_333_333n * 85n * 10n ** 16n
  assert.equal(sum, exact, `seed ${random.seed}`)
  assert.notEqual(drifting, toCents(sum))
})
