import pg from 'pg'
import t from 'tap'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { testDatabase } from '../../helper.js'
import { again, newClaim } from './conformance.js'

for (const level of ['repeatable read', 'serializable']) {
  await t.test(`over a Postgres whose transactions are ${level} by default one of many claims at once gets the key`, async (t) => {
    const pool = new pg.Pool({ connectionString: await testDatabase(t), max: 8, options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}` })
    t.teardown(() => pool.end())
    const store = createPostgresStore({ postgres: pool })
    await Promise.all(Array.from({ length: 8 }, () => pool.query('SELECT pg_sleep(0.05)'))) // all connections are there
    for (let round = 0; round < 20; round++) {
      const claim = newClaim()
      const answers = await Promise.all([claim, ...Array.from({ length: 7 }, () => again(claim))].map((each) => store.claim(each)))
      t.equal(answers.filter(({ state }) => state === 'claimed').length, 1)
      t.equal(answers.filter(({ state }) => state === 'running').length, 7)
    }
  })
}
