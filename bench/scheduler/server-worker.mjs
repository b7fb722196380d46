import { randomBytes } from 'node:crypto'
import { answerCalls } from '../rpc.mjs'
import { loadConfig } from '../../dist/services/config/index.js'
import { buildServer } from '../../dist/server.js'

let app

/** The reference server. Beside its own routes it takes upgrades, and sends each such client more than it will ever read. */
answerCalls({
  async start ({ redisUrl, databaseUrl, prefix }) {
    const config = loadConfig({ NODE_ENV: 'test', PORT: '0', LOG_LEVEL: 'silent', DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, JWT_SECRET: randomBytes(32).toString('hex'), HOLDFAST_PREFIX: prefix })
    app = await buildServer(config)
    app.server.on('upgrade', (_request, socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
      socket.write(Buffer.alloc(16_777_216))
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return app.server.address().port
  },
  /** ms */
  async close () {
    const start = performance.now()
    await app.close()
    return performance.now() - start
  }
})
