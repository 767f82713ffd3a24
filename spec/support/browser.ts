/**
 * A real Chromium for specs, driven over its own protocol. Where none is installed the specs that
 * need one are skipped and say so; on the build server (CI=true) that is a failure.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

/** Quiet, and without a word to anybody but the pages under test. */
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A name that is neither loopback nor https, as some companies run such services inside.
  '--host-resolver-rules=MAP gateway.test 127.0.0.1',
]

/** For `test(name, { skip })`: false, or why the spec is skipped. */
export function browserMissing(): string | false {
  if (existsSync(executablePath)) return false
  if (process.env['CI'] === 'true') throw new Error(`${executablePath} is missing (CI=true)`)
  return `skipped: no ${executablePath} here (Debian package chromium)`
}

export interface Scope {
  after(action: () => Promise<void> | void): void
}

export interface ContextOptions {
  readonly colorScheme?: 'light' | 'dark'
  readonly viewport?: { readonly width: number; readonly height: number }
}

/** A browser of a profile of its own; each call of `open` is a person with empty cookies. */
export async function startBrowser(scope: Scope): Promise<{
  open(options?: ContextOptions): Promise<BrowserContext>
}> {
  const profile = mkdtempSync(join(tmpdir(), 'apps-gateway-chromium-'))
  const browser: Browser = await chromium.launch({
    executablePath,
    args: [...flags, `--crash-dumps-dir=${profile}`],
    env: { ...process.env, HOME: profile },
  })
  scope.after(async () => {
    await browser.close()
    rmSync(profile, { recursive: true, force: true })
  })
  return { open: (options = {}) => browser.newContext({ locale: 'en-GB', ...options }) }
}
