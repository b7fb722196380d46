import t from 'tap'
import { exceedsDepth } from '../../../services/json/depth.js'

const nested = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth)

await t.test('the depth of a value is counted over arrays and objects', async (t) => {
  const depths: Array<[json: string, depth: number]> = [
    ['null', 0], ['1', 0], ['"[[[["', 0], ['true', 0],
    ['{}', 1], ['[]', 1], ['[1,null,"a"]', 1], ['{"a":1}', 1],
    ['[[]]', 2], ['{"a":[]}', 2], ['[{}]', 2], ['[1,[2,[3]],[]]', 3], ['{"a":{"b":{"c":{}}},"z":1}', 4],
    ['{"__proto__":{"a":{}}}', 3], ['{"length":{"toString":{}}}', 3], ['{"a":1,"b":[{"c":[0]}]}', 4]
  ]
  for (const [json, depth] of depths) {
    const value: unknown = JSON.parse(json)
    t.equal(exceedsDepth(value, depth), false, `${json} does not exceed ${depth}`)
    if (depth > 0) t.equal(exceedsDepth(value, depth - 1), true, `${json} exceeds ${depth - 1}`)
  }
  t.equal(exceedsDepth(undefined, 0), false)
})

await t.test('a body of 10 KB with 5,000 levels is measured without overflow', async (t) => {
  const array: unknown = JSON.parse(nested(5_000, '[', ']'))
  t.equal(exceedsDepth(array, 64), true)
  t.equal(exceedsDepth(array, 4_999), true)
  t.equal(exceedsDepth(array, 5_000), false)
})

await t.test('100,000 levels are measured without overflow', async (t) => {
  let value: unknown = 0
  for (let depth = 0; depth < 100_000; depth++) value = depth % 2 === 0 ? [value] : { value }
  t.equal(exceedsDepth(value, 99_999), true)
  t.equal(exceedsDepth(value, 100_000), false)
})

await t.test('a wide value is measured without overflow', async (t) => {
  const wide = Array.from({ length: 1_000_000 }, () => [0])
  t.equal(exceedsDepth(wide, 2), false)
  t.equal(exceedsDepth(wide, 1), true)
})

await t.test('a cycle ends at the limit', async (t) => {
  const cycle: unknown[] = []
  cycle.push(cycle)
  t.equal(exceedsDepth(cycle, 64), true)
})
