/** This product's own version; a spec holds it against package.json. */
export const productVersion: string = '0.1.0'
