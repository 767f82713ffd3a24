import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

const runner = join(import.meta.dirname, 'main.ts')

/** A folder with spec files of the given texts. */
async function makeSpecs(t: TestContext, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'spec', 'deep'), { recursive: true })
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, 'spec', name), text)
  }
  return folder
}

function runRunner(folder: string, ...rest: string[]): Promise<{ code: number; output: string }> {
  const env = { ...process.env }
  // Node's runner does not start inside itself.
  delete env['NODE_TEST_CONTEXT']
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [runner, ...rest], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? -1, output }))
  })
}

const passing = `
  import { test } from 'node:test'
  test('works', () => {})
  test('cannot here', { skip: 'no browser' }, () => {})
`
const failing = `
  import { test } from 'node:test'
  test('breaks', () => { throw new Error('the reason') })
`

test('test runner: a passing file is one line, and the closing lines count its tests', async (t) => {
  const folder = await makeSpecs(t, {
    'deep/one.spec.ts': passing,
    'two.spec.ts': failing,
    'long.soak.ts': failing,
  })
  const { code, output } = await runRunner(folder, 'deep/')
  assert.equal(code, 0, output)
  assert.match(output, /✔ spec\/deep\/one\.spec\.ts 1\/2/)
  assert.match(output, /cannot here .*no browser/)
  assert.match(output, /ℹ tests 2\nℹ suites 0\nℹ pass 1\nℹ fail 0/)
  assert.doesNotMatch(output, /works/)
})

test('test runner: every file of a run reaches the same PostgreSQL server', async (t) => {
  const ask = `
    import { test } from 'node:test'
    test('server', (t) => t.diagnostic('at ' + process.env.GATEWAY_TEST_POSTGRES_URL))
  `
  const folder = await makeSpecs(t, { 'a.spec.ts': ask, 'b.spec.ts': ask })
  const { code, output } = await runRunner(folder, 'spec')
  assert.equal(code, 0, output)
  const urls = output.match(/at postgres:\S+/g) ?? []
  assert.equal(urls.length, 2, output)
  assert.equal(new Set(urls).size, 1)
})

test('test runner: a failing test fails the run and shows why', async (t) => {
  const folder = await makeSpecs(t, { 'bad.spec.ts': failing, 'good.spec.ts': passing })
  const { code, output } = await runRunner(folder, 'spec')
  assert.equal(code, 1)
  assert.match(output, /✖ breaks/)
  assert.match(output, /Error: the reason/)
  assert.match(output, /ℹ fail 1/)
})

test('test runner: a file that cannot be loaded fails the run', async (t) => {
  const folder = await makeSpecs(t, { 'bad.spec.ts': "throw new Error('at load')" })
  const { code, output } = await runRunner(folder, 'bad')
  assert.equal(code, 1)
  assert.match(output, /at load/)
})

test('test runner: a file without a test fails the run', async (t) => {
  const folder = await makeSpecs(t, { 'good.spec.ts': passing, 'empty.spec.ts': 'export {}' })
  const { code, output } = await runRunner(folder, 'spec')
  assert.equal(code, 1)
  assert.match(output, /✖ spec\/empty\.spec\.ts holds no test/)
})

test('test runner: soaks run only when asked for', async (t) => {
  const folder = await makeSpecs(t, { 'good.spec.ts': failing, 'long.soak.ts': passing })
  const { code, output } = await runRunner(folder, '--soak')
  assert.equal(code, 0, output)
  assert.match(output, /✔ spec\/long\.soak\.ts/)
})

test('test runner: words that match nothing and unknown options are errors', async (t) => {
  const folder = await makeSpecs(t, { 'good.spec.ts': passing })
  const nothing = await runRunner(folder, 'no-such-word')
  assert.equal(nothing.code, 1)
  assert.match(nothing.output, /No spec file's path holds no-such-word/)
  const unknown = await runRunner(folder, '--quick')
  assert.equal(unknown.code, 2)
  assert.match(unknown.output, /Unknown option '--quick'/)
  assert.match(unknown.output, /usage:/)
})
