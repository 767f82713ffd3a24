/**
 * Counters, gauges and histograms, and their text form (Prometheus exposition format 0.0.4). On
 * the path of a request an observation is an addition to a number found once; label sets are
 * bounded, so that no client can make this process remember what it invents.
 */

export interface Counter {
  add(value?: number): void
}

export interface Histogram {
  observe(value: number): void
}

export type Labels = Readonly<Record<string, string>>

export interface Family<T> {
  /** The child of these label values; made at its first use, the same one after. */
  with(labels: Labels): T
}

export interface Registry {
  counter(name: string, help: string): Family<Counter>
  /** `collect` is asked at each scrape. */
  gauge(name: string, help: string, collect: () => readonly Sample[]): void
  /** A count that somebody else keeps; asked at each scrape. */
  total(name: string, help: string, collect: () => readonly Sample[]): void
  /** Bounds ascend; `+Inf` is added. */
  histogram(name: string, help: string, bounds: readonly number[]): Family<Histogram>
  /** Everything, for a scrape. */
  text(): string
  readonly names: readonly string[]
}

export interface Sample {
  readonly labels?: Labels
  readonly value: number
}

/**
 * Children of one family. Upstreams, models, statuses and routes are some hundreds together; what
 * comes beyond that shares one child, whose labels all say `other`.
 */
const childrenMax = 1000

interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly lines: () => string[]
}

export function createRegistry(): Registry {
  const metrics: Metric[] = []
  const add = (metric: Metric): void => {
    if (metrics.some(({ name }) => name === metric.name)) throw new Error(`two ${metric.name}`)
    metrics.push(metric)
  }
  return {
    counter(name, help) {
      const family = createFamily(() => new Count())
      const lines = (): string[] =>
        family.children().map(([labels, { value }]) => line(name, labels, value))
      add({ name, help, type: 'counter', lines })
      return family
    },
    gauge: (name, help, collect) => add(collected(name, help, 'gauge', collect)),
    total: (name, help, collect) => add(collected(name, help, 'counter', collect)),
    histogram(name, help, bounds) {
      const family = createFamily(() => new Buckets(bounds))
      const lines = (): string[] =>
        family.children().flatMap(([labels, buckets]) => buckets.lines(name, labels))
      add({ name, help, type: 'histogram', lines })
      return family
    },
    text: () =>
      metrics
        .map(({ name, help, type, lines }) =>
          [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`, ...lines(), ''].join(
            '\n',
          ),
        )
        .join(''),
    get names() {
      return metrics.map(({ name }) => name)
    },
  }
}

class Count implements Counter {
  value = 0

  add(value = 1): void {
    this.value += value
  }
}

class Buckets implements Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    let at = 0
    // A dozen bounds, most values in the first few.
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? 0)) at += 1
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#sum += value
  }

  lines(name: string, labels: Labels): string[] {
    let sum = 0
    const buckets = this.#counts.map((count, index) => {
      sum += count
      const bound = this.#bounds[index]
      return line(
        `${name}_bucket`,
        { ...labels, le: bound === undefined ? '+Inf' : String(bound) },
        sum,
      )
    })
    return [...buckets, line(`${name}_sum`, labels, this.#sum), line(`${name}_count`, labels, sum)]
  }
}

function createFamily<T>(
  make: () => T,
): Family<T> & { children(): readonly (readonly [Labels, T])[] } {
  const children = new Map<string, readonly [Labels, T]>()
  return {
    with(labels) {
      const key = keyOf(labels)
      const known = children.get(key)
      if (known !== undefined) return known[1]
      if (children.size >= childrenMax) {
        const names = Object.keys(labels)
        const other = Object.fromEntries(names.map((name) => [name, 'other']))
        const otherKey = keyOf(other)
        const rest = children.get(otherKey)?.[1] ?? make()
        children.set(otherKey, [other, rest])
        return rest
      }
      const child = make()
      children.set(key, [labels, child])
      return child
    },
    children: () => [...children.values()],
  }
}

/**
 * Labels of one family always have the same names in the same order, and no value holds a NUL:
 * names of the configuration, words of ours and numbers. Runs a dozen times for each call.
 */
function keyOf(labels: Labels): string {
  let key = ''
  for (const name in labels) key += `${labels[name]}\0`
  return key
}

function collected(
  name: string,
  help: string,
  type: 'counter' | 'gauge',
  collect: () => readonly Sample[],
): Metric {
  const lines = (): string[] => collect().map(({ labels = {}, value }) => line(name, labels, value))
  return { name, help, type, lines }
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${formatValue(value)}`
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (Number.isFinite(value)) return String(value)
  return value > 0 ? '+Inf' : '-Inf'
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}
