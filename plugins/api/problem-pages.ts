import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import { packageRoot } from '../../services/package-root.js'

/** Serves the pages of docs/problems, so that the `type` of a problem document leads to its explanation. */
const problemPages: FastifyPluginAsync = async (fastify) => {
  const folder = join(packageRoot(), 'docs', 'problems')
  for (const file of await readdir(folder)) {
    const page = await readFile(join(folder, file), 'utf8')
    fastify.get(`/${file.replace(/\.md$/, '')}`, { schema: { hide: true } }, async (_request, reply) => {
      return reply.type('text/markdown; charset=utf-8').send(page)
    })
  }
}

export default problemPages
