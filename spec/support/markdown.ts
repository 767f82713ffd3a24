/** The fenced blocks of a page, for the specs that run what the documents tell people to run. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Block {
  readonly page: string
  /** `page:line` of its beginning. */
  readonly place: string
  readonly language: string
  readonly text: string
  /** The comment above it: who runs it, or what it needs. */
  readonly mark: string
}

/** `page` is a path below `root`. */
export function readBlocks(root: string, page: string): Block[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  const blocks: Block[] = []
  let start = -1
  for (const [index, line] of lines.entries()) {
    if (!/^\s*```/.test(line)) continue
    if (start < 0) {
      start = index
      continue
    }
    blocks.push({
      page,
      place: `${page}:${start + 1}`,
      language: lines[start]?.trim().slice(3) ?? '',
      text: lines.slice(start + 1, index).join('\n'),
      mark: /^<!-- (.*) -->$/.exec(lines[start - 1] ?? '')?.[1] ?? '',
    })
    start = -1
  }
  assert.equal(start, -1, `${page}: a block without an end`)
  return blocks
}
