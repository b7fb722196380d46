import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** Prints where everything is, and the two calls to try. */
export function announce (app: FastifyInstance): void {
  const { port } = app.server.address() as AddressInfo
  const base = `http://localhost:${port}`
  console.log(`
  Holdfast is running

    API       ${base}/api/v1/shares
    Docs      ${base}/documentation
    Health    ${base}/health/ready
    Metrics   ${base}/metrics

  Log in, then store a share. Send the second call twice: it is stored once.

    curl -X POST ${base}/api/auth/login -H "Content-Type: application/json" -d '{"email": "test-ios@example.com", "password": "TestPassword123!"}'
    curl -X POST ${base}/api/v1/shares -H "Content-Type: application/json" -H "Authorization: Bearer {TOKEN}" -H "Idempotency-Key: 550e8400-e29b-41d4-a716-446655440001" -d '{"url": "https://www.reddit.com/r/programming/comments/test/"}'
`)
}
