/**
 * From rounds to results: ratios to the floor of the same round, their medians and intervals, the
 * verdicts, and the Markdown table that `bench/README.md` shows. `main.ts` calls it.
 */
import type { Round } from './rounds.ts'
import type { Bound, Goals, Scenario } from './scenarios.ts'
import { estimate, judge, median } from './statistics.ts'
import type { Estimate, Verdict } from './statistics.ts'

export interface Figure {
  readonly name: string
  readonly estimate: Estimate
  readonly goal: number | undefined
  readonly verdict: Verdict | undefined
  readonly target: number | undefined
  readonly targetVerdict: Verdict | undefined
}

/** One subject in one scenario, next to the floor of the same rounds. */
export interface Result {
  readonly scenario: string
  readonly about: string
  readonly subject: string
  readonly figures: readonly Figure[]
  readonly rounds: readonly Round[]
  readonly floor: readonly Round[]
}

interface FigureRule {
  readonly name: string
  readonly goal: keyof Goals
  readonly of: (round: Round, floor: Round) => number
}

const rules: readonly FigureRule[] = [
  { name: 'CPU ratio', goal: 'cpuRatio', of: (a, b) => a.cpuSeconds / b.cpuSeconds },
  {
    name: 'added first byte, ms',
    goal: 'addedFirstByteMs',
    of: (a, b) => a.firstByteMs - b.firstByteMs,
  },
  { name: 'gap p99 ratio', goal: 'gapRatio', of: (a, b) => a.gapMs / b.gapMs },
  {
    name: 'memory per stream ratio',
    goal: 'memoryRatio',
    of: (a, b) => a.bytesPerStream / b.bytesPerStream,
  },
]

/** `rounds` and `floor` are of equal length; the n-th of each ran next to each other. */
export function compare(
  scenario: Scenario,
  subject: string,
  rounds: readonly Round[],
  floor: readonly Round[],
): Result {
  const figures = rules.flatMap((rule) => {
    const values = rounds.flatMap((round, i) => {
      const beside = floor[i]
      return beside === undefined ? [] : [rule.of(round, beside)]
    })
    if (values.some(Number.isNaN)) return []
    return [toFigure(rule.name, values, scenario.goals[rule.goal])]
  })
  return { scenario: scenario.name, about: scenario.about, subject, figures, rounds, floor }
}

export function toFigure(
  name: string,
  values: readonly number[],
  bound: Bound | undefined,
): Figure {
  const figure = estimate(values)
  const { goal, target } = bound ?? {}
  return {
    name,
    estimate: figure,
    goal,
    verdict: goal === undefined ? undefined : judge(figure, goal),
    target,
    targetVerdict: target === undefined ? undefined : judge(figure, target),
  }
}

/** Markdown: a row per figure, then a row of absolute medians per scenario for orientation. */
export function renderTable(results: readonly Result[], others: readonly Figure[]): string {
  const rows = [
    '| scenario | subject | figure | median | interval | goal | verdict | target | verdict |',
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for (const result of results) {
    for (const figure of result.figures) {
      rows.push(renderFigure(`${result.scenario}: ${result.about}`, result.subject, figure))
    }
  }
  for (const figure of others) rows.push(renderFigure('boot', 'gateway', figure))
  return rows.join('\n')
}

/** Markdown: what the ratios were made of, so that a reader can judge the machine. */
export function renderMedians(results: readonly Result[]): string {
  const rows = [
    '| scenario | subject | CPU s per 1000 | first byte p50, p99 ms | gap p99 ms | streams/s | RSS peak MB |',
    '|---|---|---|---|---|---|---|',
  ]
  let scenario = ''
  for (const result of results) {
    if (result.scenario !== scenario)
      rows.push(renderRounds(result.scenario, 'floor', result.floor))
    scenario = result.scenario
    rows.push(renderRounds(result.scenario, result.subject, result.rounds))
  }
  return rows.join('\n')
}

function renderFigure(scenario: string, subject: string, figure: Figure): string {
  const { median: middle, low, high } = figure.estimate
  const cells = [
    scenario,
    subject,
    figure.name,
    show(middle),
    `${show(low)} – ${show(high)}`,
    showBound(figure.goal),
    figure.verdict ?? '',
    showBound(figure.target),
    figure.targetVerdict ?? '',
  ]
  return `| ${cells.join(' | ')} |`
}

function showBound(bound: number | undefined): string {
  return bound === undefined ? '' : `≤ ${bound}`
}

function renderRounds(scenario: string, subject: string, rounds: readonly Round[]): string {
  const of = (pick: (round: Round) => number): string => show(median(rounds.map(pick)))
  const cells = [
    scenario,
    subject,
    of((round) => round.cpuSeconds),
    `${of((round) => round.firstByteMs)}, ${of((round) => round.firstByteP99Ms)}`,
    of((round) => round.gapMs),
    of((round) => round.streamsPerSecond),
    of((round) => round.residentPeakBytes / 1e6),
  ]
  return `| ${cells.join(' | ')} |`
}

function show(value: number): string {
  if (Number.isNaN(value)) return '–'
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2)
}
