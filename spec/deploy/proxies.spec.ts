import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createAuthority } from '../support/certificates.ts'
import { prepareHaproxy, prepareNginx } from '../support/reverse-proxy.ts'
import { findTool } from '../support/tools.ts'

const deploy = join(import.meta.dirname, '..', '..', 'deploy')
const nginx = findTool('nginx', '-v')
const haproxy = findTool('haproxy', '-v')
const pair = createAuthority({ after }).issue('DNS:claude-gateway.internal.example.com')

test(
  'deploy nginx: nginx takes the example as it stands, but for paths and addresses',
  nginx,
  () => {
    const prepared = prepareNginx({ after }, { port: 8443, gateways: [8081, 8082], ...pair })
    execFileSync('nginx', ['-t', ...prepared.args], { stdio: 'pipe' })
  },
)

test(
  'deploy haproxy: haproxy takes the example as it stands, but for paths and addresses',
  haproxy,
  () => {
    const prepared = prepareHaproxy({ after }, { port: 8443, gateways: [8081, 8082], ...pair })
    const out = execFileSync('haproxy', ['-c', ...prepared.args], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    assert.match(out, /valid/)
  },
)

test('deploy proxies: streams are not buffered, silence is allowed for, claims of clients are dropped', () => {
  const nginxText = readFileSync(join(deploy, 'nginx/gateway.conf'), 'utf8')
  assert.match(nginxText, /proxy_buffering off;/)
  assert.match(nginxText, /proxy_set_header X-Forwarded-For \$remote_addr;/)
  const haproxyText = readFileSync(join(deploy, 'haproxy/haproxy.cfg'), 'utf8')
  assert.match(haproxyText, /http-request del-header X-Forwarded-For\n\s+option forwardfor/)
  // The gateway itself gives up on an upstream after 600 s of silence.
  for (const [text, form] of [
    [nginxText, /proxy_read_timeout (\d+)s;/],
    [haproxyText, /timeout server (\d+)s/],
  ] as const) {
    assert.ok(Number(form.exec(text)?.[1]) > 600)
  }
})
