import { maxWait, openDatabase } from './database.mjs'

/** No plugin: the handler's work in an interactive transaction, and what it answered after the commit. */
export async function protect (fastify, { databaseUrl }) {
  const { prisma } = openDatabase(databaseUrl)
  return async (reply, work) => {
    const { status, headers, body } = await prisma.$transaction(work, { maxWait })
    reply.code(status).headers(headers)
    return body
  }
}
