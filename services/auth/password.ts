import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

interface Cost {
  /** log2 of N, the number of blocks kept in memory */
  readonly ln: number
  /** block size; memory is 128 · N · r bytes */
  readonly r: number
  /** how often the whole is done */
  readonly p: number
}

interface StoredHash { readonly cost: Cost, readonly salt: Buffer, readonly hash: Buffer }

/** OWASP Password Storage Cheat Sheet, scrypt with 32 MiB: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
const cost: Cost = { ln: 15, r: 8, p: 3 }
const saltBytes = 16
const hashBytes = 32

/** What a stored string may ask for, so that a planted one cannot exhaust the machine: 128 MiB, and 2^21 blocks mixed. */
const limits = { ln: [10, 17], r: [1, 8], p: [1, 16], salt: [8, 64], hash: [16, 64], work: 2 ** 21 } as const

/** Longest password in UTF-8 bytes. The caller refuses longer ones, before anything is normalised or hashed. */
export const maxPasswordBytes = 1_024

const derive = promisify<string, Buffer, number, { N: number, r: number, p: number, maxmem: number }, Buffer>(scrypt)

/** NFKC, because keyboards differ in how they compose a character (NIST SP 800-63B, §5.1.1.2). */
const hashWith = (password: string, salt: Buffer, length: number, { ln, r, p }: Cost): Promise<Buffer> => {
  const N = 2 ** ln
  return derive(password.normalize('NFKC'), salt, length, { N, r, p, maxmem: 128 * r * (N + p + 2) })
}

const encode = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')

const format = ({ cost: { ln, r, p }, salt, hash }: StoredHash): string =>
  `$scrypt$ln=${ln},r=${r},p=${p}$${encode(salt)}$${encode(hash)}`

const within = (value: number, [minimum, maximum]: readonly [number, number]): boolean => value >= minimum && value <= maximum

const isAffordable = ({ ln, r, p }: Cost): boolean =>
  within(ln, limits.ln) && within(r, limits.r) && within(p, limits.p) && 2 ** ln * r * p <= limits.work

const pattern = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** Decodes without judging. Node's decoder lets odd lengths and stray trailing bits pass. */
const decode = (text: string): StoredHash | undefined => {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, ln, r, p, salt = '', hash = ''] = match
  return {
    cost: { ln: Number(ln), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64')
  }
}

const parse = (text: string): StoredHash => {
  const stored = decode(text)
  if (stored === undefined || format(stored) !== text) {
    throw new Error('the stored password hash is not a `$scrypt$ln=…,r=…,p=…$salt$hash` string')
  }
  const { cost: { ln, r, p }, salt, hash } = stored
  if (!isAffordable(stored.cost)) throw new Error(`the stored password hash has parameters out of bounds: ln=${ln}, r=${r}, p=${p}`)
  if (!within(salt.length, limits.salt) || !within(hash.length, limits.hash)) {
    throw new Error(`the stored password hash has a salt of ${salt.length} and a hash of ${hash.length} bytes, which is out of bounds`)
  }
  return stored
}

/** Verified in place of the hash of a user who does not exist, so that the answer takes as long. */
const nobody: StoredHash = { cost, salt: Buffer.alloc(saltBytes), hash: Buffer.alloc(hashBytes) }

/**
 * Hashes a password with scrypt (RFC 7914) and a random salt, off the event loop.
 *
 * @returns a string in the manner of the PHC format: `$scrypt$ln=15,r=8,p=3$salt$hash`
 */
export const hashPassword = async (password: string): Promise<string> => {
  const salt = randomBytes(saltBytes)
  return format({ cost, salt, hash: await hashWith(password, salt, hashBytes, cost) })
}

/**
 * Whether `password` is the one `stored` was made of, with the parameters that `stored` names. `null`, for a user who does
 * not exist, costs what {@link hashPassword} costs and is never true.
 *
 * @throws {Error} when `stored` is malformed or its parameters are out of bounds
 */
export const verifyPassword = async (password: string, stored: string | null): Promise<boolean> => {
  const { cost, salt, hash } = stored === null ? nobody : parse(stored)
  const equal = timingSafeEqual(await hashWith(password, salt, hash.length, cost), hash)
  return equal && stored !== null
}
