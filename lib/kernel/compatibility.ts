/**
 * The protocol level this gateway speaks. Upstreams see it in the user-agent and `/protocol`
 * names it; our own release number is the package's and has nothing to do with it.
 */
export const compatibilityVersion = '2.1.330'
