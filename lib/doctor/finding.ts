/**
 * What the doctor says: one finding for each thing looked at, with the fix beside every problem.
 * Made by the checks of this folder, shown by `table.ts`. No text may hold a secret.
 */
import { describeFailure } from '../egress/describe-failure.ts'

export type Finding =
  | { readonly check: string; readonly result: 'ok'; readonly seen: string }
  | {
      readonly check: string
      /** `fail`: people or requests are turned away. `warn`: they may be, or soon will. */
      readonly result: 'warn' | 'fail'
      readonly seen: string
      /** What to do, as a sentence for the operator. */
      readonly fix: string
    }

/** What `work` found, or its failure as a finding: one that breaks must not hide the others. */
export async function orFailed(
  check: string,
  fix: string,
  work: Promise<Finding>,
): Promise<Finding> {
  try {
    return await work
  } catch (error) {
    return failed(check, describeFailure(error), fix)
  }
}

export function ok(check: string, seen: string): Finding {
  return { check, result: 'ok', seen }
}

export function warned(check: string, seen: string, fix: string): Finding {
  return { check, result: 'warn', seen, fix }
}

export function failed(check: string, seen: string, fix: string): Finding {
  return { check, result: 'fail', seen, fix }
}
