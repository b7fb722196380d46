import { Prisma } from '../../prisma/generated/client.js'
import type { PrismaClient, Share } from '../../prisma/generated/client.js'
import type { Platform } from './platform.js'

export interface NewShare {
  url: string
  canonicalUrl: string
  platform: Platform
}

export interface Page {
  items: Share[]
  /** Id of the last item, when there are more. */
  next: string | null
}

export interface Shares {
  /** Null when there is no such user: then the transaction can only be rolled back. */
  create: (tx: Prisma.TransactionClient, userId: string, share: NewShare) => Promise<Share | null>
  /** The user's shares, newest first, after the one with the id `after`. */
  list: (userId: string, page: { limit: number, after: string | null }) => Promise<Page>
  /** Null when there is none, and when it is another user's. */
  find: (userId: string, id: string) => Promise<Share | null>
}

/** https://www.prisma.io/docs/orm/reference/error-reference#p2003 */
const foreignKeyViolation = 'P2003'

export function createShares ({ prisma }: { prisma: PrismaClient }): Shares {
  return {
    async create (tx, userId, { url, canonicalUrl, platform }) {
      try {
        return await tx.share.create({ data: { userId, url, canonicalUrl, platform } })
      } catch (error) {
        if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === foreignKeyViolation) return null
        throw error
      }
    },
    async list (userId, { limit, after }) {
      const found = await prisma.share.findMany({ where: { userId, ...(after === null ? {} : { id: { lt: after } }) }, orderBy: { id: 'desc' }, take: limit + 1 })
      const items = found.slice(0, limit)
      return { items, next: found.length > limit ? items.at(-1)?.id ?? null : null }
    },
    find: async (userId, id) => await prisma.share.findFirst({ where: { id, userId } })
  }
}
