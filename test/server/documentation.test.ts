import t from 'tap'
import { flawsOf } from '../openapi.js'
import type { OpenApi } from '../openapi.js'
import { build } from './helper.js'

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
  const { openapi, paths } = response.json<OpenApi>()
  t.equal(openapi, '3.1.0')
  t.strictSame(Object.keys(paths).filter((path) => path.startsWith('/api/')).sort(), ['/api/auth/login', '/api/v1/shares', '/api/v1/shares/{id}'])
  t.strictSame(flawsOf({ openapi, paths }), [])
})

await t.test('the OpenAPI document says of a new share that it takes a key and how it is answered', async (t) => {
  const app = await build(t)
  const { paths } = (await app.inject({ url: '/documentation/json' })).json<OpenApi>()
  const { parameters = [], responses = {} } = paths['/api/v1/shares']?.post ?? {}
  t.match(parameters, [{ in: 'header', name: 'Idempotency-Key', required: false }])
  t.strictSame(Object.keys(responses), ['201', '400', '401', '409', '413', '422', '429', '503'])
  t.strictSame(Object.keys(responses['201']?.headers ?? {}), ['Idempotency-Status', 'Idempotent-Replayed'])
  t.strictSame(Object.keys(responses['409']?.headers ?? {}), ['Retry-After'])
  for (const status of ['400', '401', '409', '413', '422', '429', '503']) t.strictSame(Object.keys(responses[status]?.content ?? {}), ['application/problem+json'], status)
  t.strictSame(Object.keys(paths['/api/auth/login']?.post?.responses ?? {}), ['200', '400', '401', '429'], 'a login is not protected')
})

await t.test('health and metrics are served beside it', async (t) => {
  const app = await build(t)
  t.equal((await app.inject({ url: '/health/live' })).statusCode, 200)
  t.match((await app.inject({ url: '/health/ready' })).json(), { status: 'ready' })
  t.match((await app.inject({ url: '/metrics' })).body, /^http_request_duration_seconds_count\{method="GET",route="\/health\/live",status_code="200"\} 1$/m)
})
