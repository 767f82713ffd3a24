/**
 * `GET /v1/models`: the models a caller may use, as model pickers read them. Shows what the
 * caller's policy admits and some upstream serves; the query is ignored.
 */
import type { Catalogue, ListedModel } from './catalogue/resolve.ts'
import type { CallerHandler } from './http/exchange.ts'
import { json } from './http/reply.ts'
import type { ModelAccess } from './policy/model-access.ts'

export function createModelsHandler(catalogue: Catalogue, access: ModelAccess): CallerHandler {
  return (_exchange, caller) => {
    const models = catalogue.list(caller.groups).filter(({ id }) => access.admits(caller, id))
    // One page holds everything, so there is nothing to page by.
    return json(200, { data: models.map(describe), has_more: false, first_id: null, last_id: null })
  }
}

/** One entry; what nobody knows is left out rather than null. */
function describe({ id, label, description, maxInputTokens }: ListedModel) {
  return {
    type: 'model',
    id,
    display_name: label === undefined || label === '' ? id : label,
    ...(description === undefined ? {} : { description }),
    ...(maxInputTokens === null ? {} : { max_input_tokens: maxInputTokens }),
  }
}
