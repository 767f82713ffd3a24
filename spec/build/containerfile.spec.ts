import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

// No container engine runs where these specs run: what can be read off the file is checked here,
// and that the bundle runs alone and unprivileged in bundle.spec.ts.
const root = join(import.meta.dirname, '..', '..')
const text = readFileSync(join(root, 'Containerfile'), 'utf8')
const instructions = text
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '')
const runtime = instructions.slice(instructions.lastIndexOf('FROM ${RUNTIME_IMAGE}'))

function find(name: string): string[] {
  return runtime
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => line.slice(name.length + 1))
}

test('container: the image that ships starts from the runtime image and nothing else', () => {
  assert.equal(runtime[0], 'FROM ${RUNTIME_IMAGE}')
  assert.deepEqual(
    instructions.filter((line) => line.startsWith('FROM')),
    ['FROM --platform=${BUILDPLATFORM} ${NODE_IMAGE} AS build', 'FROM ${RUNTIME_IMAGE}'],
  )
})

test('container: no registry is named, so that whoever builds chooses whom to trust', () => {
  assert.doesNotMatch(text, /\b[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}\/[a-z]/)
  assert.match(text, /^ARG NODE_IMAGE=node:24[\w.-]*$/m)
  assert.match(text, /^ARG RUNTIME_IMAGE$/m)
})

test('container: the image for every platform is made of one build that no emulator runs', () => {
  // Only what runs in the image itself may depend on its architecture, and nothing runs there.
  const [build = ''] = instructions.filter((line) => line.endsWith(' AS build'))
  assert.match(build, /--platform=\$\{BUILDPLATFORM\}/)
  assert.ok(!runtime.some((line) => /--platform|^RUN /.test(line)))
  assert.ok(!instructions.some((line) => /amd64|arm64|x86_64|aarch64/.test(line)))
})

test('container: everything copied from the checkout is there and passes the ignore file', () => {
  const ignore = readFileSync(join(root, '.dockerignore'), 'utf8')
  const copies = instructions.filter((line) => /^COPY (?!--from)/.test(line))
  assert.ok(copies.length > 0)
  for (const copy of copies) {
    for (const source of copy.split(' ').slice(1, -1)) {
      assert.ok(existsSync(join(root, source)), `${source} is missing`)
      assert.match(ignore, new RegExp(`^!${source.replace('.', '\\.')}$`, 'm'))
    }
  }
})

test('container: the build stage copies all that build.mjs reads', () => {
  const copied = instructions.filter((line) => line.startsWith('COPY ')).join(' ')
  for (const needed of ['build.mjs', 'lib', 'bin', 'package.json', 'package-lock.json']) {
    assert.ok(copied.includes(needed), needed)
  }
})

test('container: runs as a numbered user that is not root', () => {
  const [user = ''] = find('USER')
  assert.match(user, /^[1-9]\d*:[1-9]\d*$/)
  const afterUser = runtime.slice(runtime.indexOf(`USER ${user}`))
  assert.ok(!afterUser.some((line) => /^(COPY|RUN|USER root)/.test(line)))
})

test('container: node is the first process, so that signals reach it without a shell', () => {
  const [entrypoint = '[]'] = find('ENTRYPOINT')
  assert.deepEqual(JSON.parse(entrypoint), [
    'node',
    '--max-semi-space-size=16',
    '--no-allocation-site-pretenuring',
    '--max-inlined-bytecode-size-cumulative=4000',
    '--max-inlined-bytecode-size=1000',
    '/opt/gateway/gateway.mjs',
  ])
  assert.deepEqual(JSON.parse(find('CMD')[0] ?? '[]'), ['--config', '/etc/claude/gateway.yaml'])
  assert.deepEqual(find('EXPOSE'), ['8080'])
  assert.ok(!runtime.some((line) => line.startsWith('RUN')), 'a distroless image has no shell')
})
