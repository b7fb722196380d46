import { maxWait, openDatabase } from './database.mjs'

/**
 * No plugin: the handler's work in an interactive transaction, and what it answered after the commit.
 * @param statement SQL that is sent after the work, in the same transaction
 */
export async function protect (fastify, { databaseUrl, options: { statement } = {} }) {
  const { prisma } = openDatabase(databaseUrl)
  const withStatement = (work) => async (tx) => {
    const answer = await work(tx)
    await tx.$queryRawUnsafe(statement)
    return answer
  }
  return async (reply, work) => {
    const { status, headers, body } = await prisma.$transaction(statement === undefined ? work : withStatement(work), { maxWait })
    reply.code(status).headers(headers)
    return body
  }
}
