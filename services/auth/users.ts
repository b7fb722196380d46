import type { PrismaClient } from '../../prisma/generated/client.js'
import { hashPassword, verifyPassword } from './password.js'

export interface User {
  id: string
  email: string
}

export interface Users {
  /** The user with this address and password, or null. Takes as long for an unknown address as for a wrong password. */
  verify: (email: string, password: string) => Promise<User | null>
  /** Creates the user unless the address is taken. */
  ensure: (email: string, password: string) => Promise<void>
}

export function createUsers ({ prisma }: { prisma: PrismaClient }): Users {
  const find = (email: string) => prisma.user.findUnique({ where: { email: email.toLowerCase() } })
  return {
    async verify (email, password) {
      const user = await find(email)
      const matches = await verifyPassword(password, user?.passwordHash ?? null)
      return user !== null && matches ? { id: user.id, email: user.email } : null
    },
    async ensure (email, password) {
      if (await find(email) !== null) return
      await prisma.user.createMany({ data: [{ email: email.toLowerCase(), passwordHash: await hashPassword(password) }], skipDuplicates: true })
    }
  }
}
