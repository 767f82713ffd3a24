/** Compares bytes with text where they stand: cheaper than making a text of them. */

/** Whether the bytes from `start` to `end` are `text`, which is ASCII. */
export function isText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  // A load from beyond the end would slow all others down.
  if (end - start !== text.length || end > bytes.length) return false
  for (let index = 0; index < text.length; index++) {
    if (bytes[start + index] !== text.charCodeAt(index)) return false
  }
  return true
}
