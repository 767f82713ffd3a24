/**
 * YAML text into places: parses, resolves aliases and merge keys, expands secrets. The text may
 * be hostile or broken: aliases that go in circles or multiply are refused, and every complaint
 * speaks of positions and kinds, never of the text itself, which may hold a secret.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import type { KeyPath } from '../kernel/report.ts'
import { type Complaints, prototypeKeys } from './complaint.ts'
import { expand, type ExpandSources, looksUnexpanded } from './expand.ts'
import { type Entry, type Place, placeOf } from './place.ts'
import { syntaxComplaint } from './yaml-errors.ts'

/** Real files nest about ten levels deep; a recursive reader needs an end it can reach. */
const depthMax = 64

/**
 * Values with every alias written out. A policy document of thousands of rules stays below a
 * tenth of it; validating this many takes a fraction of the second a refusal may take.
 */
const sizeMax = 100_000

interface Reader {
  readonly document: Document
  readonly sources: ExpandSources
  readonly complaints: Complaints
  /** Anchors met so far, by name; the last one of a name counts. */
  readonly anchors: Map<string, Node>
  /** Finished nodes: an alias shares the place of its anchor, so that bombs cost nothing. */
  readonly places: Map<Node, Place>
}

export interface ReadYaml {
  /** Null: the text is too broken to say anything about its content. */
  readonly root: Place | null
  readonly position: (offset: number) => { readonly line: number; readonly column: number }
}

export function readYaml(
  text: string,
  sources: ExpandSources,
  makeComplaints: (position: ReadYaml['position']) => Complaints,
): ReadYaml {
  const counter = new LineCounter()
  const position = (offset: number): { line: number; column: number } => {
    const { line, col } = counter.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const complaints = makeComplaints(position)
  const document = parse(text, counter, complaints)
  if (document === null) return { root: null, position }
  const broken = reportSyntax(document, complaints)
  const reader = { document, sources, complaints, anchors: new Map(), places: new Map() }
  const root = readNode(reader, document.contents, [], 0)
  // Anchors multiply only through aliases, so the size is known before anything walks it.
  if (root.size > sizeMax) {
    complaints.error(0, {
      path: [],
      expected: `at most ${sizeMax} values once aliases are written out`,
      found: 'aliases that multiply beyond it',
    })
    return { root: null, position }
  }
  return { root: broken ? null : root, position }
}

function parse(text: string, lineCounter: LineCounter, complaints: Complaints): Document | null {
  try {
    return parseDocument(text, {
      lineCounter,
      // Pretty messages quote the line, and the line may hold a secret.
      prettyErrors: false,
      // Also of a file that asks for YAML 1.1: one set of rules, and no types but plain data.
      schema: 'core',
      resolveKnownTags: false,
      // Duplicates are warned about below, with both lines.
      uniqueKeys: false,
      stringKeys: true,
      // What the parser reads unambiguously is taken.
      strict: false,
      logLevel: 'error',
    })
  } catch {
    // The parser is recursive: what overflows it is nested thousands of levels deep. Anything
    // else it throws would be a bug of its own, and the file cannot be read either way.
    complaints.error(0, {
      path: [],
      expected: `at most ${depthMax} levels of nesting`,
      found: 'many more',
    })
    return null
  }
}

/** Tells whether the errors leave the content in doubt. */
function reportSyntax(document: Document, complaints: Complaints): boolean {
  let broken = false
  for (const error of document.errors) {
    const { severity, ...complaint } = syntaxComplaint(error.code)
    // Once lost, the parser stumbles over every following line: only the first one is news.
    if (broken && error.code === 'UNEXPECTED_TOKEN') continue
    if (severity === 'unreadable') broken = true
    complaints.error(error.pos[0], { path: [], ...complaint })
  }
  for (const warning of document.warnings) {
    const { found } = syntaxComplaint(warning.code)
    complaints.warn(warning.pos[0], [], `${found}; the value is read as if it were not there`)
  }
  return broken
}

function readNode(reader: Reader, node: unknown, path: KeyPath, depth: number): Place {
  if (isAlias(node)) return readAlias(reader, node, path)
  const at = offsetOfNode(node)
  if (depth > depthMax) {
    reader.complaints.error(at, {
      path,
      expected: `at most ${depthMax} levels of nesting`,
      found: 'more',
    })
    return placeOf(null, at)
  }
  if (!isMap(node) && !isSeq(node) && !isScalar(node)) return placeOf(null, at)
  if (node.anchor !== undefined) reader.anchors.set(node.anchor, node)
  const place = isScalar(node)
    ? readScalar(reader, node, path, at)
    : isSeq(node)
      ? readList(
          node.items.map((item, index) => readNode(reader, item, [...path, index], depth + 1)),
          at,
        )
      : readMap(reader, node, path, at, depth)
  reader.places.set(node, place)
  return place
}

function readAlias(reader: Reader, node: Alias, path: KeyPath): Place {
  const at = offsetOfNode(node)
  const anchor = reader.anchors.get(node.source)
  const place = anchor && reader.places.get(anchor)
  if (place !== undefined) return place
  reader.complaints.error(at, {
    path,
    expected: 'an alias of an anchor that is complete by then',
    found: anchor === undefined ? 'an alias without an anchor before it' : 'an alias of itself',
  })
  return placeOf(null, at)
}

function readScalar(reader: Reader, node: Scalar, path: KeyPath, at: number): Place {
  const { value } = node
  if (typeof value !== 'string') return placeOf(value, at)
  const expansion = expand(value, reader.sources)
  if (expansion.kind === 'failed') {
    for (const problem of expansion.problems) reader.complaints.error(at, { path, ...problem })
    return placeOf(value, at)
  }
  const { text, references } = expansion
  if (references.length === 0 && path[0] !== 'managed' && looksUnexpanded(text)) {
    reader.complaints.warn(
      at,
      path,
      'stays as written: only ${NAME} is replaced inside a text, and ${file:/path} only as a whole value',
    )
  }
  return { ...placeOf(text, at), references }
}

function readList(items: readonly Place[], at: number): Place {
  const size = items.reduce((sum, item) => sum + item.size, 1)
  return {
    ...placeOf(
      items.map(({ value }) => value),
      at,
    ),
    items,
    size,
  }
}

function readMap(reader: Reader, node: YAMLMap, path: KeyPath, at: number, depth: number): Place {
  const own = new Map<string, Entry>()
  const merged = new Map<string, Entry>()
  for (const pair of node.items) {
    const key = keyOf(pair)
    if (key === null) continue
    const keyPath = [...path, key.name]
    const place = readNode(reader, pair.value, keyPath, depth + 1)
    if (key.merges) mergeInto(reader, merged, place, key.at, path)
    else if (prototypeKeys.has(key.name)) {
      reader.complaints.error(key.at, {
        path: keyPath,
        expected: 'a known key',
        found: `unknown key ${JSON.stringify(key.name)}`,
      })
    } else {
      warnOfDuplicate(reader, own.get(key.name), key.at, keyPath)
      own.set(key.name, { keyAt: key.at, place })
    }
  }
  for (const [name, entry] of merged) if (!own.has(name)) own.set(name, entry)
  return placeOfEntries(own, at)
}

function placeOfEntries(entries: ReadonlyMap<string, Entry>, at: number): Place {
  const value: Record<string, unknown> = {}
  let size = 1
  for (const [name, { place }] of entries) {
    value[name] = place.value
    size += place.size
  }
  return { ...placeOf(value, at), entries, size }
}

/** `<<`: the keys of one block, or of a list of blocks of which the first one wins. */
function mergeInto(
  reader: Reader,
  merged: Map<string, Entry>,
  place: Place,
  at: number,
  path: KeyPath,
): void {
  const blocks = Array.isArray(place.value) ? place.items : [place]
  for (const block of blocks) {
    if (typeof block.value !== 'object' || block.value === null || Array.isArray(block.value)) {
      reader.complaints.error(at, {
        path: [...path, '<<'],
        expected: 'a block, or a list of blocks, to merge',
        found: 'something else',
      })
      continue
    }
    for (const [name, entry] of block.entries) {
      if (!merged.has(name)) merged.set(name, entry)
    }
  }
}

function warnOfDuplicate(
  reader: Reader,
  earlier: Entry | undefined,
  at: number,
  path: KeyPath,
): void {
  if (earlier === undefined) return
  reader.complaints.duplicate(earlier.keyAt, at, path)
}

function keyOf(pair: Pair): { name: string; at: number; merges: boolean } | null {
  const { key } = pair
  // Keys that are no text were reported by the parser.
  if (!isScalar(key) || typeof key.value !== 'string') return null
  const merges = key.value === '<<' && key.type === 'PLAIN'
  return { name: key.value, at: offsetOfNode(key), merges }
}

function offsetOfNode(node: unknown): number {
  const ranged = isMap(node) || isSeq(node) || isScalar(node) || isAlias(node)
  return ranged ? (node.range?.[0] ?? 0) : 0
}
