import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { at, findProblems, parseManifests } from '../support/manifests.ts'

const deploy = join(import.meta.dirname, '..', '..', 'deploy')
const read = (path: string): string => readFileSync(join(deploy, path), 'utf8')

/** Names of ${NAME} in a configuration, without its comments. */
function variables(config: string): string[] {
  const text = config.replaceAll(/^\s*#.*$/gm, '')
  return [
    ...new Set([...text.matchAll(/\$\{([A-Z_]+)\}/g)].map(([, name]) => name ?? '')),
  ].toSorted()
}

const names = (list: unknown): string[] =>
  (Array.isArray(list) ? list : []).map((entry) => String(at(entry, 'name')))

test('deploy ECS: the task gives its container what the configuration reads, and little else', () => {
  const task: unknown = JSON.parse(read('ecs/task-definition.json'))
  const container = at(task, 'containerDefinitions', 0)
  assert.deepEqual(names(at(container, 'secrets')).toSorted(), variables(read('ecs/gateway.yaml')))
  assert.equal(at(container, 'readonlyRootFilesystem'), true)
  assert.match(String(at(container, 'user')), /^[1-9]\d*:[1-9]\d*$/)
  assert.deepEqual(at(container, 'linuxParameters', 'capabilities', 'drop'), ['ALL'])
  assert.equal(at(container, 'portMappings', 0, 'containerPort'), 8080)
  // Fargate stops nobody later than this; a sidecar's logs of the drain must get out too.
  const stop = Number(at(container, 'stopTimeout'))
  assert.ok(stop <= 120)
  assert.ok(stop >= Number(at(container, 'environment', 0, 'value')) / 1000 + 5)
  // The sizes that Fargate has for half a CPU.
  assert.ok(['1024', '2048', '3072', '4096'].includes(String(at(task, 'memory'))))
  assert.equal(at(task, 'cpu'), '512')
})

test('deploy ECS: the configured image adds the configuration and nothing else', () => {
  const lines = read('ecs/Containerfile')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  assert.deepEqual(lines, [
    'ARG GATEWAY_IMAGE=apps-gateway:0.1.0',
    'FROM ${GATEWAY_IMAGE}',
    'COPY gateway.yaml /etc/claude/gateway.yaml',
  ])
})

test('deploy Cloud Run: the service is one that Knative knows, but for the mark of the platform', () => {
  const [service, ...more] = parseManifests(read('cloud-run/service.yaml'))
  assert.ok(service !== undefined && more.length === 0)
  assert.deepEqual(findProblems(service), [])
})

test('deploy Cloud Run: what the configuration reads is given, and the drain fits', () => {
  const [service] = parseManifests(read('cloud-run/service.yaml'))
  const spec = at(service, 'spec', 'template', 'spec')
  const environment = at(spec, 'containers', 0, 'env')
  const given = names(environment)
  for (const name of variables(read('cloud-run/gateway.yaml')))
    assert.ok(given.includes(name), name)
  assert.equal(at(spec, 'timeoutSeconds'), 3600)
  // Ten seconds after SIGTERM the instance is gone.
  assert.ok(Number(at(environment, 0, 'value')) < 10_000)
  const [config] = parseManifests(read('cloud-run/gateway.yaml'))
  const trusted = at(config, 'listen', 'trusted_proxies')
  assert.ok(Array.isArray(trusted) && trusted.includes('169.254.0.0/16'))
})
