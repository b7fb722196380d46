import { createHash } from 'node:crypto'

/** The two halves of a key, as Postgres has them in `pg_locks` and in the locks of two integers. */
export interface KeyHalves {
  high: number
  low: number
}

/**
 * The advisory lock of a name: 64 bits of SHA-256, signed, as text, because a number of JavaScript keeps only 53 of them. Not `hashtext`, whose
 * 32 bits gave 114 pairs of one million names the same lock.
 */
export function lockKey (namespace: string, name: string): string {
  return createHash('sha256').update(`${namespace}\0${name}`).digest().readBigInt64BE(0).toString()
}

export function halvesOf (key: string): KeyHalves {
  const value = BigInt(key)
  return { high: Number(value >> 32n), low: Number(BigInt.asIntN(32, value)) }
}

/** Key to name, ascending: all who want several take them in one order. */
export function keysOf (namespace: string, names: readonly string[]): Map<string, string> {
  const pairs = names.map((name): [string, string] => [lockKey(namespace, name), name])
  return new Map(pairs.sort(([a], [b]) => BigInt(a) < BigInt(b) ? -1 : 1))
}
