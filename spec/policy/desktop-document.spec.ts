/** What a desktop block comes to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { desktopDocument, mergeDesktop } from '../../lib/policy/desktop-document.ts'

test('desktop merge: keys come from the base, objects and lists are replaced whole', () => {
  const base = {
    banner: { text: 'B', backgroundColor: '#ffffff' },
    allowedWorkspaceFolders: ['/a'],
    chatTabEnabled: true,
    zzz: { a: 1 },
  }
  const own = { banner: { text: 'C' }, allowedWorkspaceFolders: ['/b'], zzz: { b: 1 } }
  assert.deepEqual(mergeDesktop(base, own), {
    banner: { text: 'C' },
    allowedWorkspaceFolders: ['/b'],
    chatTabEnabled: true,
    zzz: { b: 1 },
  })
})

test('desktop merge: disabled tools add up, and restrictions of the base stay', () => {
  const base = {
    disabledBuiltinTools: ['Bash'],
    builtinToolPolicy: { Bash: 'ask', Read: 'allow', Edit: 'ask' },
  }
  const own = {
    disabledBuiltinTools: ['Edit', 'Bash', 'Edit'],
    builtinToolPolicy: { Bash: 'allow', Read: 'ask', WebFetch: 'allow' },
  }
  assert.deepEqual(mergeDesktop(base, own), {
    disabledBuiltinTools: ['Bash', 'Edit'],
    builtinToolPolicy: { Bash: 'ask', Read: 'ask', Edit: 'ask', WebFetch: 'allow' },
  })
})

test('desktop merge: an empty block opts in, no block anywhere does not', () => {
  assert.deepEqual(mergeDesktop(undefined, {}), {})
  assert.deepEqual(mergeDesktop({ a: 1 }, undefined), { a: 1 })
  assert.equal(mergeDesktop(undefined, undefined), undefined)
})

test('desktop document: values get the one form that Desktop reads', () => {
  const desktop = {
    chatTabEnabled: 'true',
    disableAutoUpdates: 1,
    modelPrefer1mContext: 0,
    userPluginUploadsEnabled: 'FALSE',
    autoUpdaterEnforcementHours: '5',
    allowedWorkspaceFolders: ['/a', { path: '/b' }],
    zzz: null,
  }
  assert.deepEqual(desktopDocument(desktop, {}), {
    chatTabEnabled: true,
    disableAutoUpdates: true,
    modelPrefer1mContext: false,
    userPluginUploadsEnabled: false,
    autoUpdaterEnforcementHours: 5,
    allowedWorkspaceFolders: [{ path: '/a' }, { path: '/b' }],
    zzz: null,
  })
})

test('desktop document: plugin settings are served as a list, whichever way they were written', () => {
  const list = [{ serverName: 'a', zzz: 1 }]
  assert.deepEqual(desktopDocument({ orgPluginSettings: list }, {}), {
    orgPluginSettings: [{ tools: [], serverName: 'a', zzz: 1 }],
  })
  const record = { mcpServers: { x: { toolPolicy: { t: 'blocked', u: 'allow' } }, y: {} } }
  assert.deepEqual(desktopDocument({ orgPluginSettings: record }, {}), {
    orgPluginSettings: [
      {
        serverName: 'x',
        tools: [
          { toolName: 't', permission: 'blocked' },
          { toolName: 'u', permission: 'allow' },
        ],
      },
      { serverName: 'y', tools: [] },
    ],
  })
})

test('desktop document: bare denials disable tools, rules with content and MCP tools do not', () => {
  const deny = ['WebSearch', 'Bash(x)', 'mcp__a', 'WebSearch', 'NotATool']
  const settings = { permissions: { deny } }
  assert.deepEqual(desktopDocument({}, settings), {
    disabledBuiltinTools: ['WebSearch', 'NotATool'],
  })
  assert.deepEqual(desktopDocument({ disabledBuiltinTools: ['Edit', 'WebSearch'] }, settings), {
    disabledBuiltinTools: ['WebSearch', 'NotATool', 'Edit'],
  })
  assert.deepEqual(desktopDocument({ disabledBuiltinTools: [] }, {}), { disabledBuiltinTools: [] })
})

test('desktop document: hosts come from the sandbox unless the block names its own', () => {
  const settings = { sandbox: { network: { allowedDomains: ['a.example'] } } }
  assert.deepEqual(desktopDocument({}, settings), { coworkEgressAllowedHosts: ['a.example'] })
  assert.deepEqual(desktopDocument({ coworkEgressAllowedHosts: [] }, settings), {
    coworkEgressAllowedHosts: [],
  })
  assert.deepEqual(desktopDocument({}, { sandbox: { network: { allowedDomains: [] } } }), {})
})
