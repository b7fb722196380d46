import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { problemSchema } from '../../services/problem.js'
import type { RouteSettings } from './options.js'

type Schema = Record<string, unknown>

interface Documented {
  settings: RouteSettings
  /** Of the route's methods those that are protected, or null when all are. */
  only: string[] | null
}

/**
 * Describes protected routes to @fastify/swagger: the header, the plugin's own answers and its response headers. What a route says itself stays.
 *
 * The description must not be compiled: Ajv would refuse a missing key before authentication, and a response schema would filter the handler's own 409.
 * So a route gets it when the application is ready: validators and serializers exist by then, and @fastify/swagger reads `route.schema` when it is asked
 * for the document. The schema is replaced, not changed: routes may share it, and requests still see the route's own.
 */
export function documentRoutes (fastify: FastifyInstance): (route: RouteOptions, settings: RouteSettings, covered: string[]) => void {
  const owners = new Map<RouteOptions, FastifyInstance>()
  const documented = new Map<RouteOptions, Documented>()

  fastify.addHook('onRoute', function (route) { owners.set(route, this) })
  fastify.addHook('onReady', (done) => {
    // A swagger `transform` that expects Zod or the like everywhere would throw at ours.
    const understood = [...owners.keys()].every(({ schema }) => isJsonSchema(schema ?? {}))
    if (!understood) fastify.log.debug('routes have schemas that are not JSON Schema: the OpenAPI document says nothing of Idempotency-Key')
    else for (const [route, how] of documented) route.schema = describe(route.schema ?? {}, how, owners.get(route) ?? fastify)
    owners.clear()
    documented.clear()
    done()
  })

  return (route, settings, covered) => {
    const all = [route.method].flat()
    documented.set(route, { settings, only: covered.length === all.length ? null : covered })
  }
}

function describe (schema: FastifySchema, how: Documented, instance: FastifyInstance): FastifySchema {
  return { ...schema, headers: withKey(schema.headers, how, instance), response: withAnswers(schema.response, how) }
}

function withKey (own: unknown, { settings, only }: Documented, instance: FastifyInstance): unknown {
  const headers = isObject(own) ? own : {}
  const shared = [...JSON.stringify(headers).matchAll(/"\$ref":"([^"#]+)/g)].map(([, id = '']) => instance.getSchema(id))
  if (/"idempotency-key":/i.test(JSON.stringify([headers, shared]))) return own
  const description = `1 to ${settings.maxKeyLength} visible ASCII characters, quoted (RFC 8941) or bare. The same in every retry of a request.`
  const properties = { 'Idempotency-Key': { type: 'string', description: description + onlyFor(only) } }
  const required = settings.required && only === null ? ['Idempotency-Key'] : []
  if (!isObject(headers.properties) && ['$ref', 'allOf', 'anyOf', 'oneOf'].some((keyword) => keyword in headers)) return { allOf: [{ type: 'object', properties, required }, headers] }
  return {
    type: 'object',
    ...headers,
    properties: { ...isObject(headers.properties) ? headers.properties : {}, ...properties },
    required: [...Array.isArray(headers.required) ? headers.required as unknown[] : [], ...required]
  }
}

function withAnswers (own: unknown, { settings, only }: Documented): Schema {
  const response: Schema = isObject(own) ? { ...own } : {}
  const succeeds = Object.keys(response).filter((status) => /^[23]/.test(status))
  if (succeeds.length === 0) succeeds.push('default' in response ? 'default' : Object.keys(response).length === 0 ? '200' : '2XX')
  // `null` stands for no content: what a route without a schema sends is not known.
  for (const status of succeeds) response[status] = withHeaders(response[status] ?? { type: 'null', description: 'Default Response' }, statusHeaders)
  for (const [status, { description, headers }] of Object.entries(answers)) {
    if (status === '401' && settings.scope !== 'principal') continue
    const problem = { description: description + onlyFor(only), content: { 'application/problem+json': { schema: problemSchema } } }
    response[status] = withHeaders(response[status] ?? problem, headers)
  }
  return response
}

const retryAfter = (description: string): Schema => ({ 'Retry-After': { type: 'integer', minimum: 1, description } })

const answers: Record<string, { description: string, headers?: Schema }> = {
  400: { description: 'The request or its Idempotency-Key is not valid.' },
  401: { description: 'The caller is not authenticated.' },
  409: {
    description: 'A request with this Idempotency-Key is still being processed, or was processed and its response was not kept.',
    headers: retryAfter('Seconds to wait before the request is repeated. Absent when it must not be repeated.')
  },
  413: { description: 'The body is too large for a request with an Idempotency-Key.' },
  422: { description: 'This Idempotency-Key was used for a different request.' },
  503: { description: 'The request was not processed, because its Idempotency-Key cannot be checked now.', headers: retryAfter('Seconds to wait before the request is repeated.') }
}

const statusHeaders: Schema = {
  'Idempotency-Status': {
    type: 'string',
    enum: ['created', 'replayed', 'coalesced', 'bypassed'],
    description: 'How a request with an Idempotency-Key was answered: by its own run, from the record, by the run of a concurrent duplicate, or unprotected.'
  },
  'Idempotent-Replayed': { type: 'boolean', description: 'True on an answer that is a repetition of the first one. Otherwise absent.' }
}

const onlyFor = (methods: string[] | null): string => methods === null ? '' : ` Only for ${methods.join(', ')}.`

/** Adds the headers that the response does not describe itself. */
function withHeaders (response: unknown, headers: Schema = {}): unknown {
  if (!isObject(response)) return response
  const own = isObject(response.headers) ? response.headers : {}
  const named = new Set(Object.keys(own).map((name) => name.toLowerCase()))
  const missing = Object.entries(headers).filter(([name]) => !named.has(name.toLowerCase()))
  return missing.length === 0 ? response : { ...response, headers: { ...own, ...Object.fromEntries(missing) } }
}

function isJsonSchema (schema: FastifySchema): boolean {
  const { body, querystring, params, headers, response } = schema
  return [body, querystring, params, headers, ...isObject(response) ? Object.values(response) : []].flatMap(withContents).every(isPlain)
}

/** A body or response may name a schema for each media type. */
function withContents (part: unknown): unknown[] {
  return isObject(part) && isObject(part.content) ? [part, ...Object.values(part.content).map((media) => isObject(media) ? media.schema : media)] : [part]
}

/** Zod, Joi, Yup and others are instances of classes, or functions, or Standard Schemas (https://standardschema.dev). */
function isPlain (part: unknown): boolean {
  if (!isObject(part)) return typeof part !== 'function'
  return !('~standard' in part) && [Object.prototype, null].includes(Object.getPrototypeOf(part) as object | null)
}

const isObject = (value: unknown): value is Schema => typeof value === 'object' && value !== null
