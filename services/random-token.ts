import { randomFillSync } from 'node:crypto'

const tokenBytes = 16
/** Drawn at once, because every call asks the kernel: for each token that was 11 % of a replay, and more of a lock. */
const random = Buffer.alloc(256 * tokenBytes)
let used = random.length

/** 22 base64url characters, 128 random bits. */
export function randomToken (): string {
  if (used === random.length) {
    randomFillSync(random)
    used = 0
  }
  used += tokenBytes
  return random.toString('base64url', used - tokenBytes, used)
}
