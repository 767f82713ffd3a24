/** Which User-Agents come from a Claude Code inside Claude Desktop. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDesktopSession } from '../../lib/policy/desktop-session.ts'

const agents: readonly [agent: string | undefined, desktop: boolean][] = [
  ['claude-cli/2.1.330 (external, claude-desktop)', true],
  ['claude-cli/2.1.330 (external,claude-desktop-3p , x)', true],
  ['claude-code/1 (local-agent)', true],
  ['claude-cli/2.1.330 (external, cli)', false],
  ['claude-cli/2.1.330 (external, claude-desktopx)', false],
  ['claude-cli/2.1.330 (external, CLAUDE-DESKTOP)', false],
  ['claude-cli/2.1.330 (external, claude-vscode)', false],
  ['claude-cli/2.1 foo (external, claude-desktop)', false],
  ['claude-cli/2.1 (x) (external, claude-desktop)', false],
  ['claude-cli/1  (claude-desktop)', false],
  ['claude-cli/1(claude-desktop)', false],
  ['claude-cli/ (claude-desktop)', false],
  ['claude-cli/1 ((claude-desktop)', false],
  ['claude-cli/1 (external, claude-desktop', false],
  ['claude-cli/1 (a;claude-desktop)', false],
  ['Claude-cli/1 (claude-desktop)', false],
  ['x claude-cli/1 (claude-desktop)', false],
  ['claude-desktop', false],
  ['', false],
  [undefined, false],
]
for (const [agent, desktop] of agents) {
  test(`desktop session: ${agent ?? 'no User-Agent'} ${desktop ? 'is' : 'is not'} one`, () => {
    assert.equal(isDesktopSession(agent), desktop)
  })
}
