/** What the table of docs/performance.md promises: `of` answers at least `atLeast` times as many requests as `by`, both names of variants. */
export const targets = [
  { what: '`fast` first request / node-idempotency', of: 'fast-first', by: 'peer-first', atLeast: 1.2 },
  { what: '`fast` first request / bare route', of: 'fast-first', by: 'bare', atLeast: 0.6 },
  { what: '`fast` first request / two bare commands', of: 'fast-first', by: 'two-commands', atLeast: 1 },
  { what: '`mirrored` first request / `fast`', of: 'mirrored-first', by: 'fast-first', atLeast: 0.75 },
  { what: 'replay from memory / bare route', of: 'local-replay', by: 'bare', atLeast: 0.85 },
  { what: 'replay from Redis / bare route', of: 'redis-replay', by: 'bare', atLeast: 0.65 },
  { what: '`transactional` first request / Prisma transaction', of: 'transactional-first', by: 'prisma', atLeast: 0.8 },
  // Without a target: how far the two above can be met at all.
  { what: 'two bare commands / bare route', of: 'two-commands', by: 'bare' },
  { what: 'Prisma transaction and `SELECT 1` / Prisma transaction', of: 'prisma-second', by: 'prisma' }
]
