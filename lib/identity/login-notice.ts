/** The operator's notice as the pages show it: with the host it comes from. */
import type { Notice } from '../page/device-pages.ts'

export function loginNotice(text: string | undefined, origin: string): Notice | undefined {
  return text === undefined ? undefined : { host: new URL(origin).host, text }
}
