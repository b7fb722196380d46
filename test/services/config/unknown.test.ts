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

await t.test('what platforms set in the families they share with us is let pass', async (t) => {
  t.strictSame(unknownVariables({ REDIS_SERVICE_HOST: '10.0.0.11', REDIS_PORT: 'tcp://10.0.0.11:6379', DATABASE_URL_UNPOOLED: 'x' }, known), [])
})

await t.test('several are sorted by name', async (t) => {
  t.match(unknownVariables({ SHUTDOWN_B: '1', JWT_A: '1' }, known), [/JWT_A/, /SHUTDOWN_B/])
})
