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
  create: (userId: string, share: NewShare) => Promise<Share>
  /** The user's shares, newest first, after the one with the id `after`. */
  list: (userId: string, page: { limit: number, after: string | null }) => Promise<Page>
  /** Null when there is none, and when it is another user's. */
  find: (userId: string, id: string) => Promise<Share | null>
}

export function createShares ({ prisma }: { prisma: PrismaClient }): Shares {
  return {
    create: async (userId, { url, canonicalUrl, platform }) => await prisma.share.create({ data: { userId, url, canonicalUrl, platform } }),
    async list (userId, { limit, after }) {
      const found = await prisma.share.findMany({ where: { userId, ...(after === null ? {} : { id: { lt: after } }) }, orderBy: { id: 'desc' }, take: limit + 1 })
      const items = found.slice(0, limit)
      return { items, next: found.length > limit ? items.at(-1)?.id ?? null : null }
    },
    find: async (userId, id) => await prisma.share.findFirst({ where: { id, userId } })
  }
}
