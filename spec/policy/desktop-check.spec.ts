/** Which desktop blocks pass, and what is said of the others. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkDesktopDocument } from '../../lib/policy/desktop-check.ts'

const check = (document: unknown) => {
  const errors: { path: string; expected: string; nearest: readonly string[] }[] = []
  const warnings: string[] = []
  checkDesktopDocument(document, [], {
    error: (path, { expected, nearest = [] }) => {
      errors.push({ path: path.join('.'), expected, nearest })
    },
    warn: (path, text) => warnings.push(`${path.join('.')} ${text}`),
  })
  return { errors, warnings, paths: errors.map(({ path }) => path) }
}

// Recorded: blocks with every known key set to a dozen kinds of value, and their insides.
const fixture = join(import.meta.dirname, '../fixtures/policy/desktop-documents.json')
const recorded: { name: string; document: object; refused: string[] }[] = JSON.parse(
  readFileSync(fixture, 'utf8'),
)
/** There a number may be any value JavaScript turns into one; here `true` is no number of hours. */
const refusedHere = new Map([
  ['arr', ['autoUpdaterEnforcementHours']],
  ['bool', ['autoUpdaterEnforcementHours']],
])
for (const { name, document, refused } of recorded) {
  test(`desktop check: recorded block ${name} is refused for the recorded keys`, () => {
    const keys = new Set(check(document).paths.map((path) => path.split('.')[0]))
    assert.deepEqual(keys, new Set([...refused, ...(refusedHere.get(name) ?? [])]))
  })
}

test('desktop check: an empty block and ordinary values pass without a word', () => {
  const documents = [
    {},
    { chatTabEnabled: 'true', disableAutoUpdates: 1, autoUpdaterEnforcementHours: '5' },
    { allowedWorkspaceFolders: ['/a', { path: '~/b' }], disabledBuiltinTools: [] },
    { coworkEgressAllowedHosts: ['*', 'localhost', 'a.b:80', '*.x.y'] },
    {
      managedMcpServers: [
        { name: 'a', url: 'https://x', transport: 'sse' },
        { name: 'b', transport: 'stdio', command: 'x' },
      ],
    },
    { banner: { enabled: true, text: 'x', backgroundColor: '#ffffff', linkUrl: 'https://x' } },
    { builtinToolPolicy: { Bash: 'ask', Read: 'allow' }, sshClientPath: 'C:\\ssh.exe' },
    { orgPluginSettings: [{ serverName: 'a', tools: [{ toolName: 't', permission: 'blocked' }] }] },
  ]
  for (const document of documents) {
    const { errors, warnings } = check(document)
    assert.deepEqual([...errors, ...warnings], [], JSON.stringify(document))
  }
})

const refused: readonly [document: object, path: string][] = [
  [{ autoUpdaterEnforcementHours: 73 }, 'autoUpdaterEnforcementHours'],
  [{ relaunchEnforcementHours: 337 }, 'relaunchEnforcementHours'],
  [{ configRecheckIntervalMinutes: 1 }, 'configRecheckIntervalMinutes'],
  [{ configRecheckIntervalMinutes: 31 }, 'configRecheckIntervalMinutes'],
  [{ disableBypassPermissionsMode: 'disable' }, 'disableBypassPermissionsMode'],
  [{ coworkEgressAllowedHosts: ['ok.example', 'bad/x'] }, 'coworkEgressAllowedHosts.1'],
  [{ allowedWorkspaceFolders: [''] }, 'allowedWorkspaceFolders.0'],
  [{ microsoftAuthBroker: 'preferred' }, 'microsoftAuthBroker'],
  [{ sshClientPath: 'ssh' }, 'sshClientPath'],
  [{ sshClientPath: '/usr/../ssh' }, 'sshClientPath'],
  [{ banner: { linkUrl: 'zz' } }, 'banner.linkUrl'],
  [{ builtinToolPolicy: { Bash: 'deny' } }, 'builtinToolPolicy.Bash'],
  [
    { managedMcpServers: [{ name: 'a', url: 'http://x', transport: 'http' }] },
    'managedMcpServers.0.url',
  ],
  [
    { managedMcpServers: [{ name: 'a', transport: 'ws', url: 'https://x' }] },
    'managedMcpServers.0.transport',
  ],
  [
    { orgPluginSettings: [{ serverName: 'a', tools: [{ toolName: 't', permission: 'zzz' }] }] },
    'orgPluginSettings.0.tools.0.permission',
  ],
  [{ chatTabEnabled: null }, 'chatTabEnabled'],
]
for (const [document, path] of refused) {
  test(`desktop check: ${JSON.stringify(document)} is refused at ${path}`, () => {
    assert.deepEqual(check(document).paths, [path])
  })
}

test('desktop check: two servers of one name are refused', () => {
  const server = { name: 'a', url: 'https://x', transport: 'http' }
  assert.deepEqual(check({ managedMcpServers: [server, server] }).paths, [
    'managedMcpServers.1.name',
  ])
})

test('desktop check: an unknown key warns and is sent, a near miss of a known one is refused', () => {
  const { errors, warnings } = check({
    zzz: 1,
    chatTabEnabld: true,
    Banner: {},
    banner: { txt: 'x' },
  })
  assert.match(warnings.join(), /^zzz .*as written$/)
  assert.deepEqual(
    errors.map(({ path, nearest }) => [path, nearest]),
    [
      ['chatTabEnabld', ['chatTabEnabled']],
      ['Banner', ['banner']],
      ['banner.txt', ['text']],
    ],
  )
})

test('desktop check: keys the gateway computes say what to set instead', () => {
  const { errors } = check({ otlpEndpoint: 'https://x', inferenceModels: [] })
  assert.match(errors[0]?.expected ?? '', /telemetry\.forward_to/)
  assert.match(errors[1]?.expected ?? '', /availableModels/)
})

test('desktop check: keys of device management are refused', () => {
  assert.match(check({ bootstrapUrl: 'https://x' }).errors[0]?.expected ?? '', /device management/)
})

test('desktop check: deprecated shapes only warn', () => {
  const document = {
    managedMcpServers: [{ name: 'a', url: 'https://x' }],
    orgPluginSettings: { mcpServers: { x: { toolPolicy: { t: 'blocked' } } } },
  }
  const { errors, warnings } = check(document)
  assert.deepEqual(errors, [])
  assert.match(warnings[0] ?? '', /^managedMcpServers\.0 has no transport/)
  assert.match(warnings[1] ?? '', /^orgPluginSettings is deprecated/)
})

test('desktop check: something that is no block is one problem', () => {
  for (const document of [null, [], 'x']) assert.equal(check(document).errors.length, 1)
})
