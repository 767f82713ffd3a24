/**
 * A model as a refusal quotes it. A client may ask for any text, and the refusal ends in terminals
 * and logs: nothing of the text may act there. Used by the catalogue and by policies.
 */

/** The reference's. The longest real ids, ARNs, stay below it. */
const shownMax = 128

/** Without control and non-ASCII characters, and cut where it is longer than any real name. */
export function shownModel(model: string): string {
  const plain = model.replaceAll(/[^\x20-\x7E]/g, '')
  return plain.length > shownMax ? `${plain.slice(0, shownMax)}...` : plain
}
