/**
 * A section as far as it was understood. Checks between keys run on broken files too, so that
 * one report holds every problem: whatever failed its own schema is missing here.
 */
export type Loose<T> = T extends string | number | boolean | null | undefined
  ? T | undefined
  : T extends readonly (infer Item)[]
    ? readonly (Loose<Item> | undefined)[]
    : { readonly [Key in keyof T]?: Loose<T[Key]> | undefined }
