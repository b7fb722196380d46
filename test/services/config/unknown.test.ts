import t from 'tap'
import { environment } from '../../../services/config/index.js'
import { unknownVariables } from '../../../services/config/unknown.js'

const known = environment.map(({ name }) => name)

await t.test('an unknown variable of our families is reported with the nearest name', async (t) => {
  const nearest = {
    HOLDFAST_PREFX: 'HOLDFAST_PREFIX',
    HOLDFAST_DIR: 'HOLDFAST_DIRECTORY',
    HOLDFAST_DIRECTORYS: 'HOLDFAST_DIRECTORY',
    IDEMPOTENCY_ENABLE: 'IDEMPOTENCY_ENABLED',
    DATABASE_URI: 'DATABASE_URL',
    DATABASE_POOLSIZE: 'DATABASE_POOL_SIZE',
    REDIS_URLS: 'REDIS_URL',
    JWT_SECRETS: 'JWT_SECRET',
    JWT_EXPIRE_IN: 'JWT_EXPIRES_IN',
    SHUTDOWN_TIMEOUT: 'SHUTDOWN_TIMEOUT_MS'
  }
  for (const [name, suggestion] of Object.entries(nearest)) {
    t.strictSame(unknownVariables({ [name]: '1' }, known), [`option \`${name}\` is not known, the nearest known name is \`${suggestion}\``])
  }
})

await t.test('other variables and unset ones are nobody\'s business', async (t) => {
  t.strictSame(unknownVariables({ PATH: '/bin', PORTS: '1', MY_REDIS_URL: 'x', REDIS: 'x', holdfast_prefix: 'x', HOLDFAST_X: '', JWT_X: undefined }, known), [])
})

await t.test('what Kubernetes sets for services named redis or database is let pass', async (t) => {
  t.strictSame(unknownVariables({
    REDIS_SERVICE_HOST: '10.0.0.11',
    REDIS_SERVICE_PORT: '6379',
    REDIS_SERVICE_PORT_TLS: '6380',
    REDIS_PORT: 'tcp://10.0.0.11:6379',
    REDIS_PORT_6379_TCP: 'tcp://10.0.0.11:6379',
    REDIS_PORT_6379_TCP_PROTO: 'tcp',
    REDIS_PORT_6379_TCP_PORT: '6379',
    REDIS_PORT_6379_TCP_ADDR: '10.0.0.11',
    DATABASE_PRIMARY_SERVICE_HOST: '10.0.0.12'
  }, known), [])
  t.match(unknownVariables({ REDIS_PORT: '6379' }, known), [/^option `REDIS_PORT` is not known/])
})

await t.test('several are sorted by name', async (t) => {
  t.match(unknownVariables({ REDIS_B: '1', JWT_A: '1' }, known), [/JWT_A/, /REDIS_B/])
})
