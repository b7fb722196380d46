const created = ['idempotency-status', 'created']
const replayed = ['idempotent-replayed', 'true']

/**
 * `guard` names the module in guards/ that the server registers, `stores` and `options` are for it. `answers` tells which requests are sent, `mark` is a
 * header that every answer must have: a request that slipped past its protection would be fast. `rows` names the tables that must have one row for each
 * run of the handler; where `mirrored` some may be missing, and the report says how many.
 */
export const variants = [
  { name: 'bare', guard: 'none', answers: 'first', mark: null, title: 'bare route' },
  { name: 'two-commands', guard: 'two-commands', answers: 'first', mark: null, title: 'two ioredis commands, no plugin' },
  { name: 'fast-first', guard: 'holdfast', stores: ['redis'], answers: 'first', mark: created, title: 'Holdfast `fast`, first requests' },
  { name: 'mirrored-first', guard: 'holdfast', stores: ['redis', 'postgres'], answers: 'first', mark: created, rows: ['idempotency_records'], mirrored: true, title: 'Holdfast `mirrored`, first requests' },
  { name: 'local-replay', guard: 'holdfast', stores: ['redis'], answers: 'replay', mark: replayed, title: 'Holdfast, replays from memory' },
  { name: 'redis-replay', guard: 'holdfast', stores: ['redis'], options: { localCache: { maxRecords: 0 } }, answers: 'replay', mark: replayed, title: 'Holdfast, replays from Redis' },
  { name: 'peer-first', guard: 'node-idempotency', answers: 'first', mark: null, title: 'node-idempotency, first requests' },
  { name: 'peer-replay', guard: 'node-idempotency', answers: 'replay', mark: replayed, title: 'node-idempotency, replays' },
  { name: 'prisma', guard: 'prisma-transaction', answers: 'first', mark: null, rows: ['users'], title: 'Prisma transaction, no plugin' },
  { name: 'prisma-second', guard: 'prisma-transaction', options: { statement: 'SELECT 1' }, answers: 'first', mark: null, rows: ['users'], title: 'Prisma transaction and `SELECT 1`, no plugin' },
  { name: 'transactional-first', guard: 'transactional', answers: 'first', mark: created, rows: ['users', 'idempotency_records'], title: 'Holdfast `transactional`, first requests' }
]

/** @param names those to keep, null for all; the bare route stays in any case, as everything is compared with it */
export function chooseVariants (names) {
  if (names === null) return variants
  const unknown = names.find((name) => !variants.some((variant) => variant.name === name))
  if (unknown !== undefined) throw new TypeError(`--only takes ${variants.map(({ name }) => name).join(', ')}, got ${unknown}`)
  return variants.filter(({ name }) => name === 'bare' || names.includes(name))
}
