/**
 * Memory of request bodies, freed by hand. Left to the garbage collector a body lives as long as
 * its answer streams, megabytes for minutes, and V8 marks the whole heap for every few dozen
 * megabytes of such memory that come and go. Whoever hands bytes to the system lends them here:
 * what the system may still read is never freed, for by then it would be somebody else's.
 */
interface Loan {
  /** How many have not said yet that the system has all of the bytes. */
  open: number
  isWanted: boolean
}

/**
 * Bodies below this are neither lent nor freed by hand: they are left to the garbage collector,
 * and knowing when the system has all of them costs undici some promises. It must stay above the
 * high-water mark of sockets, below which undici does not wait.
 */
export const lentMinBytes: number = 256 * 1024

const loans = new WeakMap<ArrayBufferLike, Loan>()

/**
 * The bytes are about to be handed to the system. What is returned is called once it has them all;
 * where that is never known the garbage collector frees them, as anything else.
 */
export function lendBytes(bytes: Uint8Array): () => void {
  const loan = loans.get(bytes.buffer) ?? { open: 0, isWanted: true }
  loan.open++
  loans.set(bytes.buffer, loan)
  return () => {
    loan.open--
    if (loan.open === 0 && !loan.isWanted) release(bytes)
  }
}

/**
 * Nobody looks at the bytes any more: they are freed now, or when the system has all that were
 * lent. Every view of their memory is empty then. Does nothing when the memory holds more. What may
 * have been sent without being lent is `freeSent`'s.
 */
export function freeBytes(bytes: Uint8Array): void {
  const loan = loans.get(bytes.buffer)
  if (loan === undefined || loan.open === 0) release(bytes)
  else loan.isWanted = false
}

/** As `freeBytes`, for a body that may have been sent: one too small to be lent is left alone. */
export function freeSent(body: Uint8Array): void {
  if (body.length >= lentMinBytes) freeBytes(body)
}

function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
