export interface Media { schema: { title?: string, properties?: Record<string, unknown>, required?: string[], enum?: string[] } }
export interface Answer { description: string, content?: Record<string, Media>, headers?: Record<string, { description?: string } & Media> }
export interface Parameter { name: string, in: string, required: boolean, description?: string, schema: object }
export interface Operation { parameters?: Parameter[], responses: Record<string, Answer>, operationId?: string }
export interface OpenApi { openapi: string, paths: Record<string, Record<string, Operation>> }

/** What the OpenAPI Specification 3.x (§4.8) forbids of an operation, as sentences. Empty for a valid document. */
export function flawsOf ({ openapi, paths }: OpenApi): string[] {
  const operations = Object.entries(paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, operation })))
  const ids = operations.flatMap(({ operation }) => operation.operationId ?? [])
  return [
    ...(/^3\.\d\.\d$/.test(openapi) ? [] : [`version ${openapi}`]),
    ...(new Set(ids).size === ids.length ? [] : ['operationIds are not unique']),
    ...operations.flatMap(({ path, method, operation }) => [...flawsOfParameters(path, operation.parameters ?? []), ...flawsOfAnswers(operation.responses)].map((flaw) => `${method} ${path}: ${flaw}`))
  ]
}

function flawsOfParameters (path: string, parameters: Parameter[]): string[] {
  const names = parameters.map(({ name, in: place }) => `${place} ${place === 'header' ? name.toLowerCase() : name}`)
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `path ${name}`)
  return [
    ...(new Set(names).size === names.length ? [] : ['parameters are not unique']),
    ...inPath.filter((name) => !names.includes(name)).map((name) => `${name} is not described`),
    ...parameters.filter(({ required, schema }) => typeof required !== 'boolean' || typeof schema !== 'object' || 'required' in schema).map(({ name }) => `parameter ${name}`)
  ]
}

function flawsOfAnswers (responses: Record<string, Answer>): string[] {
  if (Object.keys(responses).length === 0) return ['no responses']
  return Object.entries(responses).flatMap(([status, { description, content = {}, headers = {}, ...others }]) => [
    ...(/^([1-5](\d\d|XX)|default)$/.test(status) ? [] : [`status ${status}`]),
    ...(description ? [] : [`${status} has no description`]),
    ...Object.keys(others).filter((name) => name !== 'links').map((name) => `${status} has ${name}`),
    ...[...Object.entries(content), ...Object.entries(headers)].filter(([, { schema }]) => typeof schema !== 'object' || 'headers' in schema).map(([name]) => `${status} ${name} has no schema of its own`)
  ])
}
