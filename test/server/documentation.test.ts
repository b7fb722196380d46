import t from 'tap'
import { build } from './helper.js'

interface Document { openapi: string, paths: Record<string, Record<string, { responses: Record<string, unknown> }>> }

await t.test('the documentation is served', async (t) => {
  const app = await build(t)
  const page = await app.inject({ url: '/documentation/' })
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.equal((await app.inject({ url: '/documentation/yaml' })).statusCode, 200)
})

await t.test('the OpenAPI document has every route of the API with its answers', async (t) => {
  const app = await build(t)
  const response = await app.inject({ url: '/documentation/json' })
  t.equal(response.statusCode, 200)
  const { openapi, paths } = response.json<Document>()
  t.equal(openapi, '3.1.0')
  t.strictSame(Object.keys(paths).filter((path) => path.startsWith('/api/')).sort(), ['/api/auth/login', '/api/v1/shares', '/api/v1/shares/{id}'])
  t.strictSame(Object.keys(paths['/api/v1/shares']?.post?.responses ?? {}), ['201', '400', '401', '409', '422', '503'])
})

await t.test('health and metrics are served beside it', async (t) => {
  const app = await build(t)
  t.equal((await app.inject({ url: '/health/live' })).statusCode, 200)
  t.match((await app.inject({ url: '/health/ready' })).json(), { status: 'ready' })
  t.match((await app.inject({ url: '/metrics' })).body, /^http_request_duration_seconds_count\{method="GET",route="\/health\/live",status_code="200"\} 1$/m)
})
