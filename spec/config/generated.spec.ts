/**
 * What is generated from the schema, or must agree with it: docs/configuration.md,
 * docs/gateway.schema.json and gateway.example.yaml. UPDATE_GENERATED=1 writes the first two.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { formatProblems, loadConfig } from '../../lib/config.ts'
import { generateDocument } from '../../lib/config/document.ts'
import { environmentVariables, readEnvironment } from '../../lib/config/environment.ts'
import { generateJsonSchema } from '../../lib/config/json-schema.ts'
import { configSchema } from '../../lib/config/sections.ts'
import { type Shape, shapeOf } from '../../lib/config/shape.ts'

const root = new URL('../../', import.meta.url)
const shape = shapeOf(configSchema)

const secrets = {
  OIDC_CLIENT_SECRET: 'an oidc secret',
  JWT_SECRET: 'mW8qk2vT5xZr9LdP3cYb7NfH1sJg4KaE',
  POSTGRES_PASSWORD: 'a database password',
  ANTHROPIC_API_KEY: 'sk-ant-example',
  ADMIN_WRITE_KEY: 'Qe7Rt2Yu9Io4Pa6Sd1Fg8Hj3Kl5Zx0Cv',
  ADMIN_READ_KEY: 'Vb8Nm1Qw6Er3Ty9Ui4Op7As2Df5Gh0Jk',
  OTEL_TOKEN: 'a collector token',
}

function checkCurrent(name: string, generated: string): void {
  const file = new URL(name, root)
  if (process.env['UPDATE_GENERATED'] === '1') writeFileSync(file, generated)
  const message = `${name} is not current: UPDATE_GENERATED=1 and this spec writes it`
  assert.ok(readFileSync(file, 'utf8') === generated, message)
}

function load(text: string): ReturnType<typeof loadConfig> {
  return loadConfig({
    path: 'gateway.example.yaml',
    environment: secrets,
    // Within the validity of the certificate below.
    now: Date.parse('2027-06-01T00:00:00Z'),
    readFile: (path) => (path === 'gateway.example.yaml' ? Buffer.from(text) : pemAt(path)),
  })
}

/** The files a complete example names. */
function pemAt(path: string): Uint8Array {
  const name = path.endsWith('.crt') ? 'rsa.crt.pem' : 'rsa.key.pem'
  return readFileSync(new URL(`spec/fixtures/pem/${name}`, root))
}

const example = readFileSync(new URL('gateway.example.yaml', root), 'utf8')

/** The example with every option in use: prose has an odd number of spaces after its "#". */
const complete = example.replaceAll(/^( *)#((?:  )*)(?=\S)/gm, '$1$2')

test('docs: configuration.md is what the schema says', () => {
  checkCurrent('docs/configuration.md', generateDocument(shape))
})

test('docs: gateway.schema.json is what the schema says', () => {
  checkCurrent('docs/gateway.schema.json', generateJsonSchema(shape))
})

test('docs: every key has a description of one sentence', () => {
  for (const [path, description] of describedKeys(shape)) {
    assert.match(description, /^[A-Z0-9].*\.$/, path)
  }
})

test('docs: every variable the gateway reads is listed', () => {
  const asked: string[] = []
  readEnvironment(
    new Proxy(
      {},
      {
        get(_, name) {
          asked.push(String(name))
        },
      },
    ),
  )
  const listed = environmentVariables.flatMap(([names]) => names.split(', '))
  assert.deepEqual(
    // Proxies are asked for in both cases.
    [...new Set(asked.map((name) => name.toUpperCase()))].filter((name) => !listed.includes(name)),
    [],
  )
})

test('example: it passes as it stands, warns of nothing and can be served', () => {
  const loaded = load(example)
  assert.equal(loaded.kind, 'ok', loaded.kind === 'invalid' ? formatProblems(loaded.problems) : '')
  assert.deepEqual(loaded.warnings, [])
})

test('example: it passes with every option in use, which uses every section', () => {
  const loaded = load(complete)
  assert.equal(loaded.kind, 'ok', loaded.kind === 'invalid' ? formatProblems(loaded.problems) : '')
  const sections = Object.keys(parse(complete))
  const missing = [...shape.keys.keys()].filter((name) => !sections.includes(name))
  // Its made-up answers exclude real ones, so it is shown in a comment.
  assert.deepEqual(missing, ['load_test_mode'])
  const providers = parse(complete).upstreams.map(({ provider }: { provider: string }) => provider)
  const known = shape.keys.get('upstreams')?.shape.item?.variants.keys() ?? []
  assert.deepEqual(providers.toSorted(), [...known].toSorted())
})

test('example: every key there is stands in it, in use or in a comment', () => {
  const missing = [...describedKeys(shape)]
    .map(([path]) => path)
    .filter((path) => !new RegExp(`\\b${path.split('.').at(-1)}\\b`).test(example))
  assert.deepEqual(missing, [])
})

test('schema for editors: it forbids unknown keys and takes references for numbers', () => {
  const schema = JSON.parse(generateJsonSchema(shape))
  assert.equal(schema.additionalProperties, false)
  assert.deepEqual(schema.required, ['listen', 'oidc', 'session', 'store', 'upstreams'])
  const [number, text] = schema.properties.listen.properties.port.anyOf
  assert.deepEqual(number, { type: 'integer', minimum: 0, maximum: 65_535 })
  assert.match('${PORT}', new RegExp(text.pattern))
  assert.doesNotMatch('a port', new RegExp(text.pattern))
  assert.equal(schema.properties.upstreams.items.oneOf.length, 7)
})

function* describedKeys(shape: Shape, path = ''): Generator<readonly [string, string]> {
  for (const [name, key] of shape.keys) {
    yield [`${path}${name}`, key.description]
    yield* describedKeys(key.shape, `${path}${name}.`)
  }
  for (const variant of shape.variants.values()) yield* describedKeys(variant, path)
  for (const form of shape.forms) yield* describedKeys(form, path)
  if (shape.item) yield* describedKeys(shape.item, path)
}
