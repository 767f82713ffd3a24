/**
 * A copy of this checkout in a folder of its own, with its packages linked: for specs that run
 * what the pages tell a newcomer to type, which writes into the checkout.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Its path. Without `spec`, which nothing that ships may need. */
export function createCheckout(scope: { after(action: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-checkout-'))
  scope.after(() => rmSync(folder, { recursive: true, force: true }))
  const list = ['ls-files', '--cached', '--others', '--exclude-standard']
  const files = execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\n')
  for (const file of files) {
    if (file === '' || file.startsWith('spec/') || !existsSync(join(root, file))) continue
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    cpSync(join(root, file), join(folder, file))
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
