/**
 * A strict reading of the Prometheus text format 0.0.4, written from its description and not from
 * our writer: what a scraper would refuse or read differently fails here. For every spec that
 * looks at metrics.
 */
import assert from 'node:assert/strict'

export interface Exposition {
  /** Name → type. */
  readonly families: ReadonlyMap<string, string>
  readonly help: ReadonlyMap<string, string>
  /** `name{label="value",…}` as written → value. */
  readonly samples: ReadonlyMap<string, number>
}

interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
  readonly text: string
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*/
/** What Go's `ParseFloat` takes of what anybody writes. */
const number = /^(?:NaN|[+-]?Inf|[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i

export function readExposition(text: string): Exposition {
  assert.ok(text.endsWith('\n'), 'the last line has no end')
  assert.doesNotMatch(text, /\r/)
  const families = new Map<string, string>()
  const help = new Map<string, string>()
  const all: Sample[] = []
  const closed = new Set<string>()
  let current = ''
  const enter = (name: string): void => {
    if (name === current) return
    assert.ok(!closed.has(name), `the lines of ${name} are not together`)
    closed.add(current)
    current = name
  }
  for (const line of text.slice(0, -1).split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (keyword === undefined) {
      assert.doesNotMatch(line, /^(#|$)/, `neither a sample nor one of ours: ${line}`)
      const sample = readSample(line)
      assert.ok(belongs(sample.name, current, families.get(current)), `${line} in ${current}`)
      all.push(sample)
      continue
    }
    assert.equal(metricName.exec(name)?.[0], name, line)
    enter(name)
    const into = keyword === 'HELP' ? help : families
    assert.ok(!into.has(name), `a second ${keyword} of ${name}`)
    assert.ok(!all.some((sample) => belongs(sample.name, name, families.get(name))), line)
    if (keyword === 'TYPE') assert.match(rest, /^(counter|gauge|histogram)$/, line)
    // In a help text a backslash stands for nothing but itself and a line end.
    else assert.doesNotMatch(rest.replaceAll(/\\[\\n]/g, ''), /\\/, line)
    into.set(name, rest)
  }
  const samples = new Map(all.map(({ text: written, value }) => [written, value]))
  assert.equal(samples.size, all.length, 'a sample twice')
  for (const [name, type] of families) {
    assert.ok(help.has(name), `${name} has no HELP`)
    const own = all.filter((sample) => belongs(sample.name, name, type))
    checkFamily(name, type, own)
  }
  return { families, help, samples }
}

function belongs(sample: string, family: string, type: string | undefined): boolean {
  if (type !== 'histogram') return sample === family
  return ['_bucket', '_sum', '_count'].some((suffix) => sample === family + suffix)
}

function readSample(line: string): Sample {
  const [name = ''] = metricName.exec(line) ?? []
  assert.notEqual(name, '', line)
  let rest = line.slice(name.length)
  const labels = new Map<string, string>()
  if (rest.startsWith('{')) {
    rest = rest.slice(1)
    while (!rest.startsWith('}')) {
      const [label = ''] = labelName.exec(rest) ?? []
      assert.ok(label !== '' && !label.startsWith('__') && !labels.has(label), line)
      const [quoted = '', value = ''] =
        /^="((?:[^"\\\n]|\\["\\n])*)"/.exec(rest.slice(label.length)) ?? []
      assert.notEqual(quoted, '', line)
      labels.set(label, value)
      rest = rest.slice(label.length + quoted.length)
      if (rest.startsWith(',')) rest = rest.slice(1)
      else assert.ok(rest.startsWith('}'), line)
    }
    rest = rest.slice(1)
  }
  const text = line.slice(0, line.length - rest.length)
  assert.match(rest, /^ \S+$/, line)
  assert.match(rest.slice(1), number, line)
  return { name, labels, value: toNumber(rest.slice(1)), text }
}

function toNumber(text: string): number {
  return /inf/i.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)
}

function checkFamily(name: string, type: string, samples: readonly Sample[]): void {
  assert.equal(name.endsWith('_total'), type === 'counter', `the name of the ${type} ${name}`)
  const names = new Set(
    samples.map(({ labels }) => [...labels.keys()].filter((key) => key !== 'le').join()),
  )
  assert.ok(names.size <= 1, `${name} has children with different labels`)
  if (type === 'counter') {
    for (const { value, text } of samples) assert.ok(value >= 0 && value < Infinity, text)
  }
  if (type === 'histogram') checkHistogram(name, samples)
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const children = new Map<string, Sample[]>()
  for (const sample of samples) {
    const own = [...sample.labels].filter(([label]) => label !== 'le')
    const key = JSON.stringify(own)
    children.set(key, [...(children.get(key) ?? []), sample])
  }
  for (const [key, child] of children) {
    const of = (suffix: string): Sample[] => child.filter((one) => one.name === name + suffix)
    const buckets = of('_bucket')
    const bounds = buckets.map(({ labels }) => toNumber(labels.get('le') ?? 'NaN'))
    const counts = buckets.map(({ value }) => value)
    assert.deepEqual(
      bounds,
      [...new Set(bounds)].toSorted((a, b) => a - b),
      `${name} ${key}`,
    )
    assert.equal(bounds.at(-1), Infinity, `${name} ${key}`)
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      `${name} ${key} shrinks`,
    )
    const [[count], [sum]] = [of('_count'), of('_sum')]
    assert.equal(count?.value, counts.at(-1), `${name} ${key}: count`)
    assert.ok(sum !== undefined && !count?.labels.has('le') && !sum.labels.has('le'))
  }
}
