import Type from 'typebox'
import { problemSchema } from '../../services/problem.js'

/** No query parameters: an unknown one is a mistake that should be heard of. */
export const NoQuery = Type.Object({}, { additionalProperties: false })

/** The answers of every route that has a body, for the OpenAPI document. */
export const problems = (...statuses: number[]): Record<string, unknown> => Object.fromEntries(statuses.map((status) => [status, {
  description: 'Problem',
  content: { 'application/problem+json': { schema: problemSchema } }
}]))
