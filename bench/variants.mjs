const replayed = ['idempotent-replayed', 'true']

/**
 * `guard` names the module in guards/ that the server registers, `answers` tells which requests are sent, `mark` is a header that every answer
 * must have: a request that slipped past its protection would be fast.
 */
export const variants = [
  { name: 'bare', guard: 'none', answers: 'first', mark: null, title: 'bare route' },
  { name: 'two-commands', guard: 'two-commands', answers: 'first', mark: null, title: 'two ioredis commands, no plugin' },
  { name: 'holdfast-first', guard: 'holdfast', answers: 'first', mark: ['idempotency-status', 'created'], title: 'Holdfast, first requests' },
  { name: 'holdfast-replay', guard: 'holdfast', answers: 'replay', mark: replayed, title: 'Holdfast, replays' },
  { name: 'peer-first', guard: 'node-idempotency', answers: 'first', mark: null, title: 'node-idempotency, first requests' },
  { name: 'peer-replay', guard: 'node-idempotency', answers: 'replay', mark: replayed, title: 'node-idempotency, replays' }
]

/** @param names those to keep, null for all; the bare route stays in any case, as everything is compared with it */
export function chooseVariants (names) {
  if (names === null) return variants
  const unknown = names.find((name) => !variants.some((variant) => variant.name === name))
  if (unknown !== undefined) throw new TypeError(`--only takes ${variants.map(({ name }) => name).join(', ')}, got ${unknown}`)
  return variants.filter(({ name }) => name === 'bare' || names.includes(name))
}
