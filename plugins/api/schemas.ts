import Type from 'typebox'

/** No query parameters: an unknown one is a mistake that should be heard of. */
export const NoQuery = Type.Object({}, { additionalProperties: false })

export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String()
}, { title: 'Problem', description: 'Problem details, RFC 9457' })

/** The answers of every route that has a body, for the OpenAPI document. */
export const problems = (...statuses: number[]): Record<string, unknown> => Object.fromEntries(statuses.map((status) => [status, {
  description: 'Problem',
  content: { 'application/problem+json': { schema: Problem } }
}]))
