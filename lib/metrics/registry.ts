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
  /**
   * The child of these values, in the order of the family's labels; made at its first use, the
   * same one after, so that it can be held. Finding it makes no key: one step for each label.
   */
  with(...values: readonly string[]): T
}

export interface Registry {
  counter(name: string, help: string, labels?: readonly string[]): Family<Counter>
  /** `collect` is asked at each scrape. */
  gauge(name: string, help: string, collect: () => readonly Sample[]): void
  /** A count that somebody else keeps; asked at each scrape. */
  total(name: string, help: string, collect: () => readonly Sample[]): void
  /** Bounds ascend; `+Inf` is added. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    labels?: readonly string[],
  ): Family<Histogram>
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
    counter(name, help, labelNames = []) {
      const family = createFamily(labelNames, () => new Count())
      const lines = (): string[] =>
        family.children().map(([labels, { value }]) => line(name, labels, value))
      add({ name, help, type: 'counter', lines })
      return family
    },
    gauge: (name, help, collect) => add(collected(name, help, 'gauge', collect)),
    total: (name, help, collect) => add(collected(name, help, 'counter', collect)),
    histogram(name, help, bounds, labelNames = []) {
      const family = createFamily(labelNames, () => new Buckets(bounds))
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

/** One step down for each label; a child where there are no more. */
interface Branch<T> {
  readonly next: Map<string, Branch<T>>
  child: T | undefined
}

function createFamily<T>(
  labelNames: readonly string[],
  make: () => T,
): Family<T> & { children(): readonly (readonly [Labels, T])[] } {
  const branch = (): Branch<T> => ({ next: new Map(), child: undefined })
  const root = branch()
  const children: (readonly [Labels, T])[] = []

  const find = (values: readonly string[]): T | undefined => {
    let at: Branch<T> | undefined = root
    for (const value of values) at = at?.next.get(value)
    return at?.child
  }
  const add = (values: readonly string[]): T => {
    let at = root
    for (const value of values) {
      const next = at.next.get(value) ?? branch()
      at.next.set(value, next)
      at = next
    }
    const child = make()
    at.child = child
    const labels = labelNames.map((name, index) => [name, values[index] ?? ''] as const)
    children.push([Object.fromEntries(labels), child])
    return child
  }
  return {
    with(...values) {
      const known = find(values)
      if (known !== undefined) return known
      if (children.length < childrenMax) return add(values)
      const others = labelNames.map(() => 'other')
      return find(others) ?? add(others)
    },
    children: () => children,
  }
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
