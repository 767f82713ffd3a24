/** One line about a thrown value for the operator's log; never for a client. */

/** Causes followed; a chain longer than this repeats itself. */
const causesMax = 4

/** Frames that find the place; the rest is the runtime's. */
const framesMax = 5

/** `Name [code]: message`, then each cause the same way. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at !== undefined && parts.length < causesMax;) {
    parts.push(describeOne(at))
    at = at instanceof Error ? at.cause : undefined
  }
  return parts.join(' <- ')
}

/** As `describeError`, with where it happened: for what should never happen. */
export function describeBug(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
  const places = frames.slice(0, framesMax).map((line) => line.trim())
  return [describeError(error), ...places].join(' ')
}

function describeOne(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`
  const code = 'code' in error && typeof error.code === 'string' ? ` [${error.code}]` : ''
  // What could not be parsed may be a person's prompt, and the message quotes it.
  if (error instanceof SyntaxError) return `${error.name}${code}`
  return `${error.name}${code}: ${error.message}`
}
