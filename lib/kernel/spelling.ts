/** Did-you-mean: which known words are close to the one somebody wrote. */

/** Longest word compared; longer ones are no typing slip, and the distance costs length squared. */
const lengthMax = 64

/**
 * At most three of `known`, nearest first: those within edit distance 2 of `word` (1 for words of
 * up to four letters), or with the same letters in another case or order.
 */
export function nearest(word: string, known: Iterable<string>): string[] {
  if (word.length > lengthMax) return []
  const allowed = word.length <= 4 ? 1 : 2
  const letters = sortedLetters(word)
  const close: { candidate: string; distance: number }[] = []
  for (const candidate of known) {
    const distance =
      sortedLetters(candidate) === letters ? 1 : editDistance(word, candidate, allowed)
    if (distance <= allowed) close.push({ candidate, distance })
  }
  close.sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate))
  return close.slice(0, 3).map(({ candidate }) => candidate)
}

function sortedLetters(word: string): string {
  return word
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .split('')
    .toSorted()
    .join('')
}

/** Levenshtein distance, or any number above `most` once it must exceed it. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const insertion = (current[column - 1] ?? 0) + 1
      const deletion = (previous[column] ?? 0) + 1
      current.push(Math.min(substitution, insertion, deletion))
    }
    previous = current
  }
  return previous[b.length] ?? most + 1
}
