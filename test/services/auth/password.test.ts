import { scryptSync } from 'node:crypto'
import t from 'tap'
import { hashPassword, verifyPassword } from '../../../services/auth/password.js'

const make = (password: string, ln: number, r: number, p: number, bytes = 32): string => {
  const salt = Buffer.from('0123456789abcdef')
  const hash = scryptSync(password, salt, bytes, { N: 2 ** ln, r, p, maxmem: 2 ** 28 })
  return `$scrypt$ln=${ln},r=${r},p=${p}$${salt.toString('base64').replace(/=+$/, '')}$${hash.toString('base64').replace(/=+$/, '')}`
}

await t.test('a password verifies against its own hash and no other does', async (t) => {
  const hash = await hashPassword('correct horse')
  t.match(hash, /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.equal(await verifyPassword('correct horse', hash), true)
  for (const wrong of ['correct horsf', 'Correct horse', 'correct horse ', '']) {
    t.equal(await verifyPassword(wrong, hash), false, JSON.stringify(wrong))
  }
})

await t.test('two hashes of one password differ', async (t) => {
  t.not(await hashPassword('same'), await hashPassword('same'))
})

await t.test('the hash is plain scrypt with the parameters it names', async (t) => {
  const [, , , salt = '', hash] = (await hashPassword('pässword')).split('$')
  const expected = scryptSync('pässword'.normalize('NFKC'), Buffer.from(salt, 'base64'), 32, { N: 2 ** 15, r: 8, p: 3, maxmem: 2 ** 26 })
  t.equal(hash, expected.toString('base64').replace(/=+$/, ''))
})

await t.test('another composition of the same characters verifies', async (t) => {
  const hash = await hashPassword('Å①ﬁ')
  t.equal(await verifyPassword('A\u030A1fi', hash), true)
})

await t.test('passwords of every length up to 1,024 bytes count in full', async (t) => {
  const hash = await hashPassword('€'.repeat(341) + 'a')
  t.equal(await verifyPassword('€'.repeat(341) + 'a', hash), true)
  t.equal(await verifyPassword('€'.repeat(341) + 'b', hash), false)
})

await t.test('the parameters are read from the stored string', async (t) => {
  for (const hash of [make('x', 10, 8, 1), make('x', 12, 4, 16), make('x', 17, 8, 1), make('x', 10, 1, 1, 16), make('x', 10, 8, 1, 64)]) {
    t.equal(await verifyPassword('x', hash), true, hash)
    t.equal(await verifyPassword('y', hash), false, hash)
  }
})

await t.test('an unknown user is never verified, not even by the dummy', async (t) => {
  for (const password of ['', 'x', '\0']) t.equal(await verifyPassword(password, null), false)
})

await t.test('an unknown user costs the time of a known one', async (t) => {
  const hash = await hashPassword('x')
  const timeOf = async (stored: string | null): Promise<number> => {
    const start = performance.now()
    await verifyPassword('y', stored)
    return performance.now() - start
  }
  const known: number[] = []
  const unknown: number[] = []
  for (let round = 0; round < 4; round++) {
    known.push(await timeOf(hash))
    unknown.push(await timeOf(null))
  }
  const ratio = Math.min(...unknown) / Math.min(...known)
  t.ok(ratio > 0.5 && ratio < 2, `the fastest unknown took ${ratio.toFixed(2)} times the fastest known`)
})

await t.test('a malformed stored hash is an error that does not repeat it', async (t) => {
  const salt = 'MDEyMzQ1Njc4OWFiY2RlZg'
  const hash = 'A'.repeat(43)
  const malformed = [
    '',
    'x',
    '$2b$10$abcdefghijklmnopqrstuv',
    `$scrypt$ln=15,r=8,p=3$${salt}`,
    `$scrypt$ln=15,r=8,p=3$$${hash}`,
    `$scrypt$ln=15,r=8,p=3$${salt}$`,
    `$scrypt$ln=15,r=8$${salt}$${hash}`,
    `$scrypt$r=8,ln=15,p=3$${salt}$${hash}`,
    `$scrypt$ln=015,r=8,p=3$${salt}$${hash}`,
    `$scrypt$ln=05,r=8,p=3$${salt}$${hash}`,
    `$scrypt$ln=-1,r=8,p=3$${salt}$${hash}`,
    `$scrypt$ln=1e1,r=8,p=3$${salt}$${hash}`,
    '$scrypt$ln=NaN,r=NaN,p=NaN$$',
    `$scrypt$ln=15,r=8,p=3$${salt}==$${hash}=`,
    `$scrypt$ln=15,r=8,p=3$${salt}$${hash.slice(1)}B`,
    `$scrypt$ln=15,r=8,p=3$${salt}$${hash}\n`,
    `$scrypt$ln=15,r=8,p=3$${salt}$${hash}$x`,
    `$scrypt$ln=15,r=8,p=3$${salt.slice(0, 21)}-$${hash}`
  ]
  const message = 'the stored password hash is not a `$scrypt$ln=…,r=…,p=…$salt$hash` string'
  for (const stored of malformed) {
    await t.rejects(verifyPassword('x', stored), { message }, stored)
  }
})

await t.test('a stored hash cannot ask for more than the bounds', async (t) => {
  const outOfBounds = ['ln=18,r=8,p=1', 'ln=99,r=8,p=1', 'ln=9,r=8,p=1', 'ln=15,r=9,p=1', 'ln=15,r=0,p=1', 'ln=10,r=8,p=17', 'ln=10,r=8,p=0', 'ln=17,r=8,p=3']
  for (const parameters of outOfBounds) {
    const stored = `$scrypt$${parameters}$MDEyMzQ1Njc4OWFiY2RlZg$${'A'.repeat(43)}`
    await t.rejects(verifyPassword('x', stored), { message: /out of bounds/ }, parameters)
  }
  for (const [salt, hash] of [[4, 32], [65, 32], [16, 15], [16, 65]] as const) {
    const text = (bytes: number): string => Buffer.alloc(bytes).toString('base64').replace(/=+$/, '')
    await t.rejects(verifyPassword('x', `$scrypt$ln=15,r=8,p=3$${text(salt)}$${text(hash)}`), { message: `salt of ${salt} and a hash of ${hash} bytes, which is out of bounds` })
  }
})
