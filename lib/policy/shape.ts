/**
 * A small language for the shapes of settings, so that the known keys are a table. Blocks are
 * open: a key that a shape does not name passes, as clients let it pass. `shape-check.ts` reads
 * it; nothing here looks at a document.
 */
export type Shape =
  | { readonly kind: 'anything' }
  | { readonly kind: 'text'; readonly form: RegExp | null; readonly expected: string }
  | { readonly kind: 'flag' }
  | { readonly kind: 'nothing' }
  | {
      readonly kind: 'number'
      readonly fits: (value: number) => boolean
      readonly expected: string
    }
  | { readonly kind: 'word'; readonly words: readonly string[] }
  | { readonly kind: 'list'; readonly item: Shape; readonly filled: boolean }
  | { readonly kind: 'map'; readonly item: Shape; readonly names: RegExp | null }
  | BlockShape
  /** A block whose `tag` says which of several it is. */
  | {
      readonly kind: 'tagged'
      readonly tag: string
      readonly blocks: Readonly<Record<string, BlockShape>>
    }
  /** Any of several kinds of value, told apart by their JSON type. */
  | { readonly kind: 'either'; readonly forms: readonly Shape[]; readonly expected: string }
  /** Clients drop a value that does not fit instead of refusing the document. */
  | { readonly kind: 'droppable'; readonly shape: Shape }

export interface BlockShape {
  readonly kind: 'block'
  readonly keys: Readonly<Record<string, Shape>>
  readonly required: readonly string[]
  /** When set, exactly one of these keys must be there. */
  readonly oneOf: readonly string[]
  /** True when other keys are refused. */
  readonly closed: boolean
}

interface Builders {
  readonly anything: Shape
  readonly text: Shape
  readonly flag: Shape
  /** JSON null. */
  readonly nothing: Shape
  readonly number: Shape
  readonly whole: Shape
  readonly url: Shape
  /** A key that may not be there; `expected` says why. */
  never(expected: string): Shape
  form(pattern: RegExp, expected: string): Shape
  numberWhere(fits: (value: number) => boolean, expected: string): Shape
  word(...words: readonly string[]): Shape
  list(item: Shape): Shape
  filledList(item: Shape): Shape
  /** `names` is what every name of the map must look like. */
  map(item: Shape, names?: RegExp): Shape
  block(keys: Keys, required?: readonly string[]): BlockShape
  closedBlock(keys: Keys): BlockShape
  oneOf(keys: Keys): BlockShape
  tagged(tag: string, blocks: Readonly<Record<string, BlockShape>>): Shape
  either(expected: string, ...forms: readonly Shape[]): Shape
  droppable(shape: Shape): Shape
}

type Keys = Readonly<Record<string, Shape>>

function block(keys: Keys, required: readonly string[] = []): BlockShape {
  return { kind: 'block', keys, required, oneOf: [], closed: false }
}

function numberWhere(fits: (value: number) => boolean, expected: string): Shape {
  return { kind: 'number', fits, expected }
}

/** `is.list(is.text)` reads as it is meant. */
export const is: Builders = {
  anything: { kind: 'anything' },
  text: { kind: 'text', form: null, expected: 'text' },
  flag: { kind: 'flag' },
  nothing: { kind: 'nothing' },
  number: numberWhere(() => true, 'a number'),
  whole: numberWhere(Number.isInteger, 'a whole number'),
  url: { kind: 'text', form: /^[a-z][a-z0-9+.-]*:\S+$/i, expected: 'a URL' },
  never: (expected) => numberWhere(() => false, expected),
  form: (pattern, expected) => ({ kind: 'text', form: pattern, expected }),
  numberWhere,
  word: (...words) => ({ kind: 'word', words }),
  list: (item) => ({ kind: 'list', item, filled: false }),
  filledList: (item) => ({ kind: 'list', item, filled: true }),
  map: (item, names) => ({ kind: 'map', item, names: names ?? null }),
  block,
  closedBlock: (keys) => ({ ...block(keys), closed: true }),
  oneOf: (keys) => ({ ...block(keys), oneOf: Object.keys(keys) }),
  tagged: (tag, blocks) => ({ kind: 'tagged', tag, blocks }),
  either: (expected, ...forms) => ({ kind: 'either', forms, expected }),
  droppable: (shape) => ({ kind: 'droppable', shape }),
}
