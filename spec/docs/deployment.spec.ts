import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { parseManifests } from '../support/manifests.ts'
import { readBlocks } from '../support/markdown.ts'
import { startServer } from '../support/database.ts'
import { findOptionalTool } from '../support/tools.ts'

const root = join(import.meta.dirname, '..', '..')
const pages = [
  'docs/deployment.md',
  'docs/migration.md',
  'deploy/README.md',
  'deploy/compose/README.md',
]
const kubectl = findOptionalTool('kubectl', 'kustomize', '--help')

const blocks = pages.flatMap((page) => readBlocks(root, page))
const guides = blocks.filter(({ page }) => page.startsWith('docs/'))

for (const { place, text } of guides.filter(({ mark }) => mark === 'runs')) {
  test(`docs deployment: the command at ${place} runs`, kubectl, () => {
    const out = execFileSync('bash', ['-euo', 'pipefail', '-c', text], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    })
    assert.notEqual(out, '')
  })
}

test('docs deployment: the SQL makes a database that the role can work in', async (t) => {
  const server = await startServer(t)
  const administrator = new pg.Client({ connectionString: server.url })
  await administrator.connect()
  for (const { text } of guides.filter(({ mark }) => mark === 'runs: sql')) {
    // One by one, as psql sends them.
    for (const statement of text.split(';\n')) await administrator.query(statement)
  }
  await administrator.end()
  const url = new URL(server.url)
  url.username = 'gateway'
  url.password = 'change-me'
  url.pathname = '/gateway'
  const gateway = new pg.Client({ connectionString: url.href })
  await gateway.connect()
  const { rows } = await gateway.query(
    `SELECT has_schema_privilege(current_schema(), 'CREATE') AS may`,
  )
  await gateway.end()
  assert.deepEqual(rows, [{ may: true }])
})

test('docs deployment: YAML in the pages is YAML', () => {
  for (const { language, text } of blocks) if (language === 'yaml') parseManifests(text)
})

test('docs deployment: every link leads to a file that is there', () => {
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (!/^https?:/.test(target))
        assert.ok(existsSync(join(root, dirname(page), target)), `${page}: ${target}`)
    }
  }
})

test('docs deployment: what is said of drain windows is what the files say', () => {
  const text = readFileSync(join(root, 'docs/deployment.md'), 'utf8')
  const rows = [
    [
      /\| Kubernetes \| (\d+) s.*\| (\d+) s \|/,
      'kubernetes/base/deployment.yaml',
      /value: "(\d+)"/,
      /terminationGracePeriodSeconds: (\d+)/,
    ],
    [
      /\| systemd \| (\d+) s \| (\d+) s \|/,
      'systemd/apps-gateway.service',
      /DRAIN_TIMEOUT_MS=(\d+)/,
      /TimeoutStopSec=(\d+)/,
    ],
    [
      /\| ECS on Fargate \| (\d+) s \| (\d+) s \|/,
      'ecs/task-definition.json',
      /"value": "(\d+)"/,
      /"stopTimeout": (\d+)/,
    ],
    [
      /\| Compose \| (\d+) s \| (\d+) s \|/,
      'compose/compose.yaml',
      /DRAIN_TIMEOUT_MS: "(\d+)"/,
      /stop_grace_period: (\d+)s/,
    ],
  ] as const
  for (const [row, file, drain, end] of rows) {
    const [, seconds, killed] = row.exec(text) ?? []
    const source = readFileSync(join(root, 'deploy', file), 'utf8')
    assert.equal(Number(drain.exec(source)?.[1]), Number(seconds) * 1000, file)
    assert.equal(end.exec(source)?.[1], killed, file)
  }
})
