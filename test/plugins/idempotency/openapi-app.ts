import swagger from '@fastify/swagger'
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import Fastify from 'fastify'
import type { FastifyInstance, FastifySchema } from 'fastify'
import type { Test } from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { flawsOf } from '../../openapi.js'
import type { Answer, OpenApi, Operation, Parameter } from '../../openapi.js'
import { principal } from './helper.js'

export interface Choices { options?: Partial<IdempotencyOptions>, documentation?: FastifyDynamicSwaggerOptions, version?: '3.0.3' | '3.1.0', swaggerFirst?: boolean }

/** An application with both plugins; `declare` adds its routes. */
export async function build (t: Test, declare: (app: FastifyInstance) => unknown, { options, documentation, version = '3.1.0', swaggerFirst = true }: Choices = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  const register = async (): Promise<void> => { await app.register(swagger, { openapi: { openapi: version, info: { title: 'Test', version: '1' } }, ...documentation }) }
  if (swaggerFirst) await register()
  await app.register(idempotency, { store: 'memory', principal, ...options })
  if (!swaggerFirst) await register()
  await declare(app)
  await app.ready()
  return app
}

export function documentOf (t: Test, app: FastifyInstance): OpenApi {
  const document = JSON.parse(JSON.stringify(app.swagger())) as OpenApi
  t.strictSame(flawsOf(document), [], 'the document is valid')
  return document
}

/** The description of one route. */
export async function described (t: Test, schema: FastifySchema | undefined, idempotency: IdempotencyOptions | object = {}, choices: Choices = {}): Promise<Operation> {
  const app = await build(t, (app) => app.post('/', { config: { idempotency }, ...(schema ? { schema } : {}) }, async () => 'ok'), choices)
  return operation(documentOf(t, app), '/')
}

export function operation ({ paths }: OpenApi, path: string, method = 'post'): Operation {
  const found = paths[path]?.[method]
  if (!found) throw new Error(`${method} ${path} is not in the document`)
  return found
}

export const headersOf = ({ parameters = [] }: Operation): Parameter[] => parameters.filter(({ in: place }) => place === 'header')
export const names = (answer: Answer | undefined): string[] => Object.keys(answer?.headers ?? {})
export const mediaTypes = (answer: Answer | undefined): string[] => Object.keys(answer?.content ?? {})
export const ours = ['Idempotency-Status', 'Idempotent-Replayed']
export const ownError = { type: 'object', description: 'Own error', properties: { message: { type: 'string' } } }
