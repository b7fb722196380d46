/** Set by a plugin that answers in place of the handler: nothing was done, whatever the status says. */
export const kNotRun = Symbol.for('holdfast.notRun')

declare module 'fastify' {
  interface FastifyRequest {
    [kNotRun]?: true
  }
}
