/** placeholder */
export interface JsonBody {
  readonly bytes: Uint8Array
}
