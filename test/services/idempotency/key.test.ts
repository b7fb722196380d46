import t from 'tap'
import { headerLines, parseKey } from '../../../services/idempotency/key.js'

await t.test('a bare key and the same key as an RFC 8941 String are one key', async (t) => {
  const same = [
    ['abc', 'abc'],
    ['"abc"', 'abc'],
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['"a;b"', 'a;b'],
    ['"a\\"b"', 'a"b'],
    ['"a\\\\b"', 'a\\b'],
    ['a\\b', 'a\\b'],
    ['a,b', 'a,b'],
    ['!~', '!~'],
    ['x'.repeat(255), 'x'.repeat(255)],
    [`"${'x'.repeat(255)}"`, 'x'.repeat(255)]
  ]
  for (const [line = '', key] of same) t.same(parseKey([line], 255), { ok: true, key }, line)
})

await t.test('what is not 1 to 255 visible ASCII characters, with balanced quotes or with none, is refused', async (t) => {
  const refused: Array<[string, RegExp]> = [
    ['', /empty/],
    ['""', /empty/],
    ['x'.repeat(256), /256 characters, at most 255/],
    [`"${'x'.repeat(256)}"`, /256 characters/],
    ['a b', /visible ASCII/],
    ['"a b"', /visible ASCII/],
    ['a\tb', /visible ASCII/],
    ['a\x7f', /visible ASCII/],
    ['a\x00', /visible ASCII/],
    ['\xe4', /visible ASCII/],
    ['"\xe4"', /RFC 8941/],
    ['"abc', /RFC 8941/],
    ['"', /RFC 8941/],
    ['abc"', /neither quotes/],
    ['a"b', /neither quotes/],
    ['"a"b"', /RFC 8941/],
    ['"a\\b"', /RFC 8941/],
    ['"abc\\"', /RFC 8941/],
    ['"abc";v=1', /RFC 8941/],
    ['"abc", "def"', /RFC 8941/],
    ['abc;v=1', /parameters/],
    ['abc, def', /visible ASCII/]
  ]
  for (const [line, reason] of refused) t.match(parseKey([line], 255), { ok: false, reason }, JSON.stringify(line))
})

await t.test('the limit counts the key and not its quotes', async (t) => {
  t.match(parseKey(['"abc"'], 3), { ok: true })
  t.match(parseKey(['abcd'], 3), { ok: false })
})

await t.test('a header that is repeated is refused, even with the same value', async (t) => {
  for (const lines of [[], ['a', 'a'], ['a', 'b'], ['a', '']]) t.match(parseKey(lines, 255), { ok: false, reason: /exactly once/ })
})

await t.test('the lines of a header are found in any case of its name, and a value that reads like the name is none', async (t) => {
  const lines = ['Idempotency-Key', 'a', 'X-Name', 'idempotency-key', 'IDEMPOTENCY-KEY', 'b']
  t.same(headerLines(lines, 'idempotency-key'), ['a', 'b'])
  t.same(headerLines([], 'idempotency-key'), [])
})
