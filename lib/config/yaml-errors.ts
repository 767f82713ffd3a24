/**
 * The parser's error codes in our words. Its own messages may quote the file, and the file may
 * hold secrets in clear.
 */
import type { ErrorCode } from 'yaml'

export interface SyntaxComplaint {
  readonly expected: string
  readonly found: string
  /** `unreadable`: what the rest of the file says is in doubt, so it is not judged. */
  readonly severity: 'unreadable' | 'readable'
}

export function syntaxComplaint(code: ErrorCode): SyntaxComplaint {
  const row = rows[code]
  const [expected, found] = row
  return { expected, found, severity: readable.has(code) ? 'readable' : 'unreadable' }
}

/** Errors beside which the content still says what it says. */
const readable: ReadonlySet<ErrorCode> = new Set([
  'BAD_DIRECTIVE',
  'MULTIPLE_DOCS',
  'NON_STRING_KEY',
  'TAG_RESOLVE_FAILED',
])

const rows: Readonly<Record<ErrorCode, readonly [expected: string, found: string]>> = {
  ALIAS_PROPS: ['an alias alone', 'an alias with an anchor or a tag'],
  BAD_ALIAS: ['the name of an anchor after & or *', 'no usable name'],
  BAD_COLLECTION_TYPE: ['a tag that fits its value', 'a tag of another kind of value'],
  BAD_DIRECTIVE: ['a YAML directive', 'an unknown line that starts with %'],
  BAD_DQ_ESCAPE: [
    'a valid escape sequence in double quotes',
    'another character after a backslash',
  ],
  BAD_INDENT: ['entries of one block at the same indentation', 'another indentation'],
  BAD_PROP_ORDER: ['anchor and tag right before their value', 'them in another place'],
  BAD_SCALAR_START: ['quotes around a text that starts with this character', 'none'],
  BLOCK_AS_IMPLICIT_KEY: ['one key and its value on a line', 'a second colon or a list on it'],
  BLOCK_IN_FLOW: ['no indented block inside { } or [ ]', 'one'],
  DUPLICATE_KEY: ['each key once', 'a key twice'],
  IMPOSSIBLE: ['YAML', 'something that cannot be read'],
  KEY_OVER_1024_CHARS: ['a key of at most 1024 characters', 'a longer one'],
  MISSING_CHAR: ['a complete value', 'a missing quote, comma, colon, bracket or space'],
  MULTILINE_IMPLICIT_KEY: ['a key on one line, followed by a colon', 'a text over several lines'],
  MULTIPLE_ANCHORS: ['one anchor at most', 'two'],
  MULTIPLE_DOCS: ['one document in the file', 'a second one after ---'],
  MULTIPLE_TAGS: ['one tag at most', 'two'],
  NON_STRING_KEY: ['a key that is plain text', 'a list, a block or a tagged value as key'],
  RESOURCE_EXHAUSTION: ['fewer aliases', 'too many'],
  TAB_AS_INDENT: ['spaces as indentation', 'a tab'],
  TAG_RESOLVE_FAILED: ['no tags', 'a tag that is not known'],
  UNEXPECTED_TOKEN: ['valid YAML', 'a character that has no meaning here'],
}
