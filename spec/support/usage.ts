/** Usage figures for specs of prices: nothing used but what a case is about. */
import { createUsageTotals, readUsage, type Usage } from '../../lib/spend/usage.ts'

const nothing = createUsageTotals().sum(0, { inputMissing: false, complete: true })

export function usageWith(figures: Partial<Usage>): Usage {
  return { ...nothing, ...figures }
}

/** The figures of a `usage` object as an upstream sends it with a whole message. */
export function usageOf(reported: object): Usage {
  const result = readUsage({ output_tokens: 0, ...reported }, 'message')
  if ('misshapen' in result) throw new Error(result.misshapen)
  const totals = createUsageTotals()
  totals.replace(result.report)
  return totals.sum(0, { inputMissing: false, complete: true })
}
