/** The text of an element of STS's flat XML, whose values hold neither tags nor entities. */
export function stsElement(xml: string, name: string): string | null {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]?.trim() ?? null
}
