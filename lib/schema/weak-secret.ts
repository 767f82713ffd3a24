/** Whether a secret that is long enough is so by repetition only. Says nothing about its value. */

/** Sixteen symbols are what hexadecimal gives; a person typing at random uses more than eight. */
const distinctMin = 8

/** A pattern this short, repeated, is no more than its first occurrence. */
const periodMax = 8

export function isWeakSecret(secret: string): boolean {
  if (new Set(secret).size < distinctMin) return true
  for (let period = 1; period <= periodMax; period++) {
    if (secret.slice(period) === secret.slice(0, -period)) return true
  }
  return false
}
