import net from 'node:net'
import { once } from 'node:events'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { testPrefix } from '../helper.js'
import { build, logIn, share } from './helper.js'

const app = await build(t)
const authorization = await logIn(app)
const unknownUser = '01a20112-5c96-739d-a2ce-6c61c50b52e3'
const json = { 'content-type': 'application/json' }
const nested = (levels: number): string => '{"url":'.repeat(levels) + '1' + '}'.repeat(levels)
const post = (payload: string, headers: Record<string, string> = json): InjectOptions => ({ method: 'POST', url: '/api/v1/shares', headers: { authorization, ...headers }, payload })
const get = (url: string): InjectOptions => ({ url, headers: { authorization } })

const table: Array<[what: string, request: InjectOptions, status: number, code: string]> = [
  ['an unknown body field', post('{"url":"https://example.com/","extra":1}'), 400, 'FST_ERR_VALIDATION'],
  ['a number where text is expected', post('{"url":1}'), 400, 'FST_ERR_VALIDATION'],
  ['a missing field', post('{}'), 400, 'FST_ERR_VALIDATION'],
  ['wrong JSON', post('{"url":'), 400, 'FST_ERR_CTP_INVALID_JSON_BODY'],
  ['an empty JSON body', post(''), 400, 'FST_ERR_CTP_EMPTY_JSON_BODY'],
  ['a poisoned prototype', post('{"__proto__":{"a":1},"url":"https://example.com/"}'), 400, 'FST_ERR_CTP_INVALID_JSON_BODY'],
  ['65 levels', post(nested(65)), 400, 'FST_API_JSON_TOO_DEEP'],
  ['5,000 levels', post(nested(5_000)), 400, 'FST_API_JSON_TOO_DEEP'],
  ['an unsupported media type', post('<a/>', { 'content-type': 'application/xml' }), 415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE'],
  ['a body over the limit', post(JSON.stringify({ url: 'x'.repeat(70_000) })), 413, 'FST_ERR_CTP_BODY_TOO_LARGE'],
  ['a URL over the limit', post(JSON.stringify({ url: `https://example.com/${'x'.repeat(2_048)}` })), 400, 'FST_ERR_VALIDATION'],
  ['a URL of a private host', post('{"url":"http://localhost/"}'), 400, 'FST_API_URL_INVALID'],
  ['a URL with a password', post('{"url":"http://u:p@example.com/"}'), 400, 'FST_API_URL_INVALID'],
  ['a URL of another scheme', post('{"url":"ftp://example.com/"}'), 400, 'FST_API_URL_INVALID'],
  ['an unknown query parameter of a POST', { ...post(JSON.stringify(share)), url: '/api/v1/shares?a=1' }, 400, 'FST_ERR_VALIDATION'],
  ['an unknown query parameter of a GET', get('/api/v1/shares?a=1'), 400, 'FST_ERR_VALIDATION'],
  ...['0', '101', '-1', '1.0', '1e1', '0x10', 'ten', '', ' 5'].map((limit): [string, InjectOptions, number, string] =>
    [`limit=${limit}`, get(`/api/v1/shares?limit=${encodeURIComponent(limit)}`), 400, 'FST_ERR_VALIDATION']),
  ['a repeated limit', get('/api/v1/shares?limit=1&limit=2'), 400, 'FST_ERR_VALIDATION'],
  ['a malformed cursor', get('/api/v1/shares?cursor=abc'), 400, 'FST_API_CURSOR_INVALID'],
  ['an empty cursor', get('/api/v1/shares?cursor='), 400, 'FST_API_CURSOR_INVALID'],
  ['a cursor that is too long', get(`/api/v1/shares?cursor=${'a'.repeat(65)}`), 400, 'FST_ERR_VALIDATION'],
  ['an id that is no UUID', get('/api/v1/shares/1'), 400, 'FST_ERR_VALIDATION'],
  ['an id that nothing has', get('/api/v1/shares/01a20112-5c96-739d-a2ce-6c61c50b52e3'), 404, 'FST_API_SHARE_NOT_FOUND'],
  ['an unknown route', get('/nothing'), 404, 'FST_API_ROUTE_NOT_FOUND'],
  ['a URL that cannot be decoded', get('/%zz'), 400, 'FST_ERR_BAD_URL'],
  ['a wrong password', { method: 'POST', url: '/api/auth/login', payload: { email: 'test-ios@example.com', password: 'x' } }, 401, 'FST_API_CREDENTIALS_INVALID'],
  ['an unknown user', { method: 'POST', url: '/api/auth/login', payload: { email: 'nobody@example.com', password: 'x' } }, 401, 'FST_API_CREDENTIALS_INVALID'],
  ['a password over the limit in bytes', { method: 'POST', url: '/api/auth/login', payload: { email: 'test-ios@example.com', password: 'ü'.repeat(1_000) } }, 401, 'FST_API_CREDENTIALS_INVALID'],
  ['no token', { url: '/api/v1/shares' }, 401, 'FST_API_TOKEN_INVALID'],
  ...['Bearer x', 'Bearer a b', 'Bearer', 'Basic dTpw', 'Bearer a, Bearer b'].map((token): [string, InjectOptions, number, string] =>
    [`the Authorization header \`${token}\``, { url: '/api/v1/shares', headers: { authorization: token } }, 401, 'FST_API_TOKEN_INVALID']),
  ['an expired token', { url: '/api/v1/shares', headers: { authorization: `Bearer ${app.jwt.sign({ sub: unknownUser }, { clockTimestamp: 1_000 })}` } }, 401, 'FST_API_TOKEN_INVALID'],
  ['a token whose subject is no user', { url: '/api/v1/shares', headers: { authorization: `Bearer ${app.jwt.sign({ sub: 'x' })}` } }, 401, 'FST_API_TOKEN_INVALID'],
  ['the token of a deleted user', { ...post(JSON.stringify(share)), headers: { ...json, authorization: `Bearer ${app.jwt.sign({ sub: unknownUser })}` } }, 401, 'FST_API_USER_UNKNOWN'],
  ['text', post('url', { 'content-type': 'text/plain' }), 415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE'],
  ['JSON in another charset', post(JSON.stringify(share), { 'content-type': 'application/json; charset=utf-16' }), 415, 'FST_API_ENCODING_UNSUPPORTED'],
  ['a body that says it is compressed', post(JSON.stringify(share), { ...json, 'content-encoding': 'gzip' }), 415, 'FST_API_ENCODING_UNSUPPORTED'],
  ['bytes that are not UTF-8', { ...post(''), payload: Buffer.from('{"url":"https://example.com/\xff"}', 'latin1') }, 400, 'FST_API_JSON_NOT_UTF8'],
  ['an id in another notation of UUIDs', get('/api/v1/shares/urn:uuid:00000000-0000-0000-0000-000000000000'), 400, 'FST_ERR_VALIDATION'],
  ['a cursor that is no id of ours', get('/api/v1/shares?cursor=AAAAAAAAAAAAAAAAAAAAAA'), 400, 'FST_API_CURSOR_INVALID'],
  ['a NUL in the address', { method: 'POST', url: '/api/auth/login', payload: { email: '\0ab', password: 'x' } }, 400, 'FST_ERR_VALIDATION'],
  ['a NUL in the password', { method: 'POST', url: '/api/auth/login', payload: { email: 'test-ios@example.com', password: 'TestPassword123!\0' } }, 400, 'FST_ERR_VALIDATION'],
  ['a key that is not valid', post(JSON.stringify(share), { ...json, 'idempotency-key': 'a b' }), 400, 'FST_IDEMPOTENCY_KEY_INVALID']
]

for (const [what, request, status, code] of table) {
  await t.test(`${what} is answered ${status} with a problem document and no stack`, async (t) => {
    const response = await app.inject(request)
    t.equal(response.statusCode, status)
    t.match(response.headers, { 'content-type': /^application\/problem\+json/, 'cache-control': 'no-store' })
    const problem = response.json<Record<string, unknown>>()
    t.strictSame(Object.keys(problem), ['type', 'title', 'status', 'code', 'detail'])
    t.match(problem, { status, code })
    t.notMatch(response.body, /\.(js|ts):\d+|node_modules/)
  })
}

await t.test('a wrong method is answered 405 with the methods that exist', async (t) => {
  const allowed: Record<string, string> = { '/api/v1/shares': 'GET, HEAD, POST', '/api/auth/login': 'POST', '/api/v1/shares/01a20112-5c96-739d-a2ce-6c61c50b52e3': 'GET, HEAD', '/metrics': 'GET, HEAD' }
  for (const [url, allow] of Object.entries(allowed)) {
    const response = await app.inject({ method: 'DELETE', url, headers: { authorization } })
    t.equal(response.statusCode, 405, url)
    t.equal(response.headers.allow, allow, url)
    t.match(response.headers['content-type'], /^application\/problem\+json/)
  }
})

await t.test('a trailing slash makes no difference', async (t) => {
  t.equal((await app.inject(get('/api/v1/shares/'))).statusCode, 200)
  const response = await app.inject({ ...post(JSON.stringify(share)), url: '/api/v1/shares/' })
  t.equal(response.statusCode, 201)
  t.match(response.headers.location, /^\/api\/v1\/shares\/[\da-f-]{36}$/)
  t.equal((await app.inject({ method: 'DELETE', url: '/api/v1/shares/', headers: { authorization } })).headers.allow, 'GET, HEAD, POST')
})

await t.test('a key behind 2,000 other header lines is seen', async (t) => {
  const filler = 'a:\r\n'.repeat(2_100)
  const request = `POST /api/v1/shares HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: ${authorization}\r\nContent-Length: ${JSON.stringify(share).length}\r\n${filler}Idempotency-Key: late\r\n\r\n${JSON.stringify(share)}`
  t.match(await raw(await build(t), request), /idempotency-status: created/)
})

await t.test('64 levels are let pass to validation', async (t) => {
  t.match((await app.inject(post(nested(64)))).json(), { code: 'FST_ERR_VALIDATION' })
})

await t.test('a 401 leaves the key untouched', async (t) => {
  const request = (token: string): InjectOptions => post(JSON.stringify(share), { ...json, authorization: token, 'idempotency-key': 'untouched' })
  t.equal((await app.inject(request('Bearer x'))).statusCode, 401)
  t.match((await app.inject(request(''))).headers, { 'www-authenticate': 'Bearer' })
  const response = await app.inject(request(authorization))
  t.equal(response.headers['idempotency-status'], 'created')
})

await t.test('an invalid request leaves the key untouched', async (t) => {
  const headers = { ...json, 'idempotency-key': 'corrected' }
  t.equal((await app.inject(post('{"url":1}', headers))).statusCode, 400)
  t.equal((await app.inject(post('{"url":"ftp://example.com/"}', headers))).statusCode, 400)
  t.equal((await app.inject(post(JSON.stringify(share), headers))).headers['idempotency-status'], 'created')
})

await t.test('logins over the limit are answered 429 with Retry-After', async (t) => {
  const shared = { LOGIN_RATE_LIMIT: '3', HOLDFAST_PREFIX: testPrefix() }
  const instances = [await build(t, shared), await build(t, shared)] as const
  const attempt = (instance: FastifyInstance) => instance.inject({ method: 'POST', url: '/api/auth/login', payload: { email: 'a@example.com', password: 'x' } })
  for (const instance of [...instances, instances[0]]) t.equal((await attempt(instance)).statusCode, 401)
  const response = await attempt(instances[1])
  t.equal(response.statusCode, 429, 'all instances count together')
  t.match(response.headers, { 'retry-after': /^\d+$/, 'ratelimit-policy': '"login";q=3;w=60', ratelimit: /^"login";r=0;t=\d+$/, 'content-type': /^application\/problem\+json/ })
  t.match(response.json(), { status: 429, code: 'FST_CONCURRENCY_RATE_LIMITED', type: '/problems/concurrency-rate-limited' })
})

await t.test('requests that Node would answer by itself are answered with problem documents too', async (t) => {
  const requests: Record<string, RegExp> = {
    'GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n': /^HTTP\/1\.1 400 .*FST_API_HOST_MISSING/s,
    'GET /health/live HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n': /^HTTP\/1\.1 417 /,
    'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n': /^HTTP\/1\.1 501 /
  }
  for (const [request, expected] of Object.entries(requests)) {
    const answer = await raw(await build(t), request)
    t.match(answer, expected)
    t.match(answer, /application\/problem\+json/)
  }
})

await t.test('what is not HTTP is answered 400 with a problem document', async (t) => {
  const answer = await raw(await build(t), 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n')
  t.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
  t.match(answer, /application\/problem\+json/)
})

async function raw (server: FastifyInstance, request: string): Promise<string> {
  await server.listen({ port: 0, host: '127.0.0.1' })
  const socket = net.connect((server.server.address() as net.AddressInfo).port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk: Buffer) => { answer += chunk.toString() })
  socket.write(request)
  await once(socket, 'close')
  return answer
}
