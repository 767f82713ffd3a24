/**
 * docs/configuration.md: every key with its type, default and meaning, out of the schema itself.
 * Development only: its specification writes and checks the file, and the product never loads
 * this one.
 */
import { environmentVariables } from './environment.ts'
import type { KeyShape, Shape } from './shape.ts'

const opening = `# Configuration

The gateway reads one YAML 1.2 file: \`gateway --config /etc/claude/gateway.yaml\`, or \`gateway.yaml\`
in the current folder. \`gateway check --config FILE\` validates it without touching a network or a
database and exits 0 or 1. [gateway.example.yaml](../gateway.example.yaml) shows every key in place;
[gateway.schema.json](gateway.schema.json) lets an editor complete and check it:

\`\`\`yaml
# yaml-language-server: $schema=docs/gateway.schema.json
\`\`\`

This page is generated from the schema that validates the file.

## Rules for the whole file

- Every mistake is reported at once, before anything is connected to, each with
  \`file:line:column\`, the path of the key, what was expected and what was found. The process then
  exits with status 1 and nothing listens. Warnings do not stop it.
- Unknown keys are mistakes, at every level. Nothing below the blocks of a policy (\`cli\`, \`code\`,
  \`settings\`, \`desktop\`) is a key of the gateway; those are checked against the settings that
  clients know.
- \`\${NAME}\` inside a text is replaced by the environment variable NAME. One that is not set is a
  mistake; an empty one is an empty text. \`\${file:/absolute/path}\` as the whole value is replaced
  by the trimmed content of the file. Nothing else is replaced, there is no escape and there are no
  defaults: \`$NAME\` and \`\${NAME:-x}\` stay as they are. Keys are never replaced.
- Numbers may be written as text (\`port: "8080"\`, \`port: \${PORT}\`). Booleans may not.
- Aliases and merge keys (\`<<\`) work. A second document in the file is a mistake. A key that stands
  twice is a warning, and the last one counts.
- Values that came out of \`\${…}\`, and secrets, are never shown in a message.
- Everything under \`extensions\` is ours; without that block the file is one that the documented
  gateway reads too.
`

/** Markdown with a final newline. */
export function generateDocument(root: Shape): string {
  const sections = [...root.keys].map(([name, key]) => sectionOf(name, key))
  return [opening, ...sections, environmentSection()].join('\n')
}

function sectionOf(name: string, key: KeyShape): string {
  const need = key.required ? ' Required.' : ''
  const rows: string[] = []
  if (hasRows(key.shape)) addRows(rows, '', key.shape)
  else rows.push(rowOf(name, key))
  return [
    `## \`${name}\``,
    '',
    `${key.description}${need}`,
    '',
    '| Key | Type | Default | Meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

function hasRows(shape: Shape): boolean {
  return shape.kind === 'block' || (inside(shape) !== null && hasRows(inside(shape) ?? shape))
}

function inside(shape: Shape): Shape | null {
  return shape.kind === 'variant' ? firstOf(shape) : shape.item
}

function firstOf(shape: Shape): Shape | null {
  return [...shape.variants.values()][0] ?? null
}

function addRows(rows: string[], prefix: string, shape: Shape): void {
  switch (shape.kind) {
    case 'block':
      for (const [name, key] of shape.keys) addKey(rows, `${prefix}${name}`, key)
      return
    case 'list':
      if (shape.item) addRows(rows, `${prefix}[].`, shape.item)
      return
    case 'map':
      if (shape.item) addRows(rows, `${prefix}<name>.`, shape.item)
      return
    case 'variant':
      addVariants(rows, prefix, shape)
      return
    case 'forms':
      for (const form of shape.forms) addRows(rows, prefix, form)
      return
    case 'number':
    case 'flag':
    case 'text':
    case 'open':
  }
}

/** Keys that every variant has come first, once; then what is special to some. */
function addVariants(rows: string[], prefix: string, shape: Shape): void {
  const seen = new Map<string, { readonly key: KeyShape; readonly variants: string[] }>()
  for (const [variant, { keys }] of shape.variants) {
    for (const [name, key] of keys) {
      if (name === shape.discriminator) continue
      const id = JSON.stringify([name, key.required, key.description, key.shape.expected])
      const entry = seen.get(id)
      if (entry) entry.variants.push(variant)
      else seen.set(id, { key: withoutOwnDefault(key, variant), variants: [variant] })
    }
  }
  const words = [...shape.variants.keys()].map(code).join(', ')
  rows.push(
    `| ${code(`${prefix}${shape.discriminator}`)} | one of ${words} | required | Which kind it is. |`,
  )
  const all = shape.variants.size
  const entries = [...seen].map(([id, entry]) => ({ name: nameOf(id), ...entry }))
  const common = entries.filter(({ variants }) => variants.length === all)
  const special = entries.filter(({ variants }) => variants.length < all)
  for (const { name, key } of common) addKey(rows, `${prefix}${name}`, key)
  for (const { name, key, variants } of special) {
    const only = `Only ${variants.map(code).join(', ')}.`
    addKey(rows, `${prefix}${name}`, { ...key, description: `${only} ${key.description}` })
  }
}

function nameOf(id: string): string {
  const [name]: unknown[] = JSON.parse(id)
  return String(name)
}

/** A name that defaults to the variant reads better in words. */
function withoutOwnDefault(key: KeyShape, variant: string): KeyShape {
  return key.default === variant ? { ...key, default: { its: 'kind' } } : key
}

function addKey(rows: string[], name: string, key: KeyShape): void {
  rows.push(rowOf(name, key))
  const { shape } = key
  if (shape.kind === 'block') addRows(rows, `${name}.`, shape)
  else if (hasRows(shape) && shape.kind !== 'variant') {
    addRows(rows, shape.kind === 'list' ? name : `${name}.`, shape)
  } else if (shape.kind === 'forms') addRows(rows, `${name}.`, shape)
}

function rowOf(name: string, key: KeyShape): string {
  const cells = [code(name), typeOf(key.shape), defaultOf(key), key.description]
  return `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`
}

function typeOf(shape: Shape): string {
  if (shape.kind === 'block') return 'block'
  const { item } = shape
  if (shape.kind === 'list' && item !== null && !hasRows(item)) {
    return `${shape.expected}, each ${typeOf(item)}`
  }
  return shape.expected
}

function defaultOf({ required, default: written }: KeyShape): string {
  if (required) return 'required'
  if (written === undefined) return '–'
  if (typeof written === 'object' && written !== null && 'its' in written) return 'its provider'
  return code(typeof written === 'string' ? written : JSON.stringify(written))
}

function environmentSection(): string {
  return [
    '## Environment variables',
    '',
    'Besides those that `${NAME}` in the file asks for. A value that makes no sense is warned about',
    'and the default is used.',
    '',
    '| Variable | Effect |',
    '| --- | --- |',
    ...environmentVariables.map(([name, effect]) => `| ${code(name)} | ${effect} |`),
    '',
  ].join('\n')
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``
}
