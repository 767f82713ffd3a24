/** Larger shapes of settings, by example. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkShape } from '../../lib/policy/shape-check.ts'
import {
  hooks,
  managedMcpServer,
  marketplaceSource,
  sandbox,
} from '../../lib/policy/settings-shapes.ts'
import type { Shape } from '../../lib/policy/shape.ts'

const errors = (value: unknown, shape: Shape): string[] => {
  const paths: string[] = []
  const error = (path: readonly (string | number)[]): void => void paths.push(path.join('.'))
  checkShape(value, shape, [], { error, warn: () => {}, slip: () => {} })
  return paths
}

test('settings shapes: a hook of every type passes', () => {
  const all = [
    { type: 'command', command: 'x', timeout: 5, async: true, shell: 'bash' },
    { type: 'prompt', prompt: 'x' },
    { type: 'agent', prompt: 'x', model: 'haiku' },
    { type: 'http', url: 'https://x/y', headers: { a: 'b' } },
    { type: 'mcp_tool', server: 's', tool: 't', input: { a: 1 } },
  ]
  assert.deepEqual(errors({ PreToolUse: [{ matcher: 'Bash', hooks: all }], Stop: [] }, hooks()), [])
})

test('settings shapes: an MCP server from a gateway names a URL and never a program', () => {
  const url = 'https://mcp.example.com'
  assert.deepEqual(errors({ type: 'http', url, headers: { a: 'b' } }, managedMcpServer()), [])
  assert.deepEqual(errors({ type: 'sse', url: 'http://x' }, managedMcpServer()), ['url'])
  assert.deepEqual(errors({ type: 'stdio', command: 'x' }, managedMcpServer()), ['type'])
  const program = { type: 'http', url, command: 'x', headersHelper: 'y' }
  assert.deepEqual(errors(program, managedMcpServer()), ['command', 'headersHelper'])
})

test('settings shapes: plugin sources need what their kind needs', () => {
  assert.deepEqual(errors({ source: 'github', repo: 'a/b' }, marketplaceSource()), [])
  assert.deepEqual(errors({ source: 'url', url: 'zzz' }, marketplaceSource()), ['url'])
  assert.deepEqual(errors({ source: 'pluginDirectory' }, marketplaceSource()), ['source'])
})

test('settings shapes: the sandbox is open to what newer clients know', () => {
  const value = { enabled: true, network: { allowedDomains: ['a.example'], zzz: 1 }, zzz: 1 }
  assert.deepEqual(errors(value, sandbox()), [])
  assert.deepEqual(errors({ network: { allowedDomains: 'x' } }, sandbox()), [
    'network.allowedDomains',
  ])
})
