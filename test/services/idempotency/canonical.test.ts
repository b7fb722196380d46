import { randomInt } from 'node:crypto'
import canonicalize from 'canonicalize'
import t from 'tap'
import { canonical } from '../../../services/idempotency/canonical.js'

await t.test('the examples of RFC 8785, 3.2.2 and 3.2.3', async (t) => {
  const literals = String.raw`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001], "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`
  t.equal(canonical(JSON.parse(literals)), String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`)
  const keys = { '\u20ac': 'Euro Sign', '\r': 'Carriage Return', דּ: 'Hebrew Letter Dalet With Dagesh', 1: 'One', '\ud83d\ude00': 'Emoji: Grinning Face', '\u0080': 'Control', ö: 'Latin Small Letter O With Diaeresis' }
  t.same(Object.values(JSON.parse(canonical(keys).replace('"1":', '"#1":')) as object), [
    'Carriage Return', 'One', 'Control', 'Latin Small Letter O With Diaeresis', 'Euro Sign', 'Emoji: Grinning Face', 'Hebrew Letter Dalet With Dagesh'])
})

for (const [what, text] of Object.entries({
  'a number that is not finite': '{"a":[1e400]}',
  'half of a pair': String.raw`{"a":"\ud800"}`,
  'half of a pair as a key': String.raw`{"\udc00":1}`,
  'half of a pair after a backslash': String.raw`["\\\ud83d"]`,
  'halves in the wrong order': String.raw`"\ude00\ud83d"`
})) await t.test(`${what} has no canonical form`, async (t) => { t.throws(() => canonical(JSON.parse(text))) })

await t.test('text that looks like half of a pair is text', async (t) => {
  for (const text of [String.raw`"\\ud800"`, String.raw`"\\\\ud800"`, String.raw`{"\\udc00":"\ud83d\ude00"}`]) t.equal(canonical(JSON.parse(text)), canonicalize(JSON.parse(text)))
})

const texts = ['', 'a', 'b', 'A', '10', '9', 'é', '\u0000', '"', '\\', '\\ud800', '\n', '\u2028', '€', '\ufb33', '\u{1f600}', '__proto__', 'constructor', 'x'.repeat(6_000)]
const pick = <T>(from: readonly T[]): T => from[randomInt(from.length)] as T

function randomValue (depth: number): unknown {
  const kind = randomInt(depth > 4 ? 5 : 8)
  if (kind === 0) return pick([null, true, false])
  if (kind < 3) return pick([0, -0, 1, -1.5, 1e21, 1e-7, 2 ** 53, 5e-324, 0.1 + 0.2, randomInt(1e9) / 997])
  if (kind < 5) return pick(texts) + pick(texts)
  const values = Array.from({ length: randomInt(kind === 7 ? 5 : 1 + (300 >> (2 * depth + 2))) }, () => randomValue(depth + 1))
  return kind === 5 ? values : JSON.parse(`{${values.map((value) => `${JSON.stringify(pick(texts) + pick(texts))}:${JSON.stringify(value)}`).join()}}`)
}

await t.test('any value has the form that another implementation of RFC 8785 gives it', async (t) => {
  for (let i = 0; i < 1_000; i++) {
    const value = randomValue(0)
    if (canonical(value) !== canonicalize(value)) return t.equal(canonical(value), canonicalize(value))
  }
})
