import { readFileSync } from 'node:fs'
import t from 'tap'
import { Value } from 'typebox/value'
import { environment, loadConfig } from '../../../services/config/index.js'
import { renderExample } from '../../../services/config/example.js'

const example = readFileSync('.env.example', 'utf8')

/** Each `#NAME=value` line; a comment in prose has a space after the `#`. */
const assignments = (content: string): Record<string, string> =>
  Object.fromEntries([...content.matchAll(/^#?([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]))

await t.test('.env.example is what the table renders', async (t) => {
  t.equal(example, renderExample())
})

await t.test('.env.example has every variable and no other', async (t) => {
  t.strictSame(Object.keys(assignments(example)).sort(), environment.map(({ name }) => name).sort())
})

await t.test('.env.example uncommented is valid and gives the defaults', async (t) => {
  const defaults = loadConfig({})
  const config = loadConfig(assignments(example))
  t.match(config, { databaseUrl: /^postgresql:/, redisUrl: /^redis:/ })
  t.strictSame({ ...config, databaseUrl: undefined, redisUrl: undefined }, defaults)
})

await t.test('every default and every example passes its own schema', async (t) => {
  for (const { name, schema, default: fallback, example } of environment) {
    if (fallback !== undefined) t.ok(Value.Check(schema, fallback), name)
    if (example !== undefined) t.ok(Value.Check(schema, example), name)
  }
})

await t.test('names and keys are unique, and the key is the name in camel case', async (t) => {
  t.equal(new Set(environment.map(({ name }) => name)).size, environment.length)
  for (const { name, key } of environment.filter(({ name }) => name !== 'NODE_ENV')) {
    t.equal(name.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), key)
  }
})

await t.test('every variable is described in one line that fits a Markdown table', async (t) => {
  for (const { name, description, expected } of environment) {
    t.match(description, /^[A-Z][^\n|]*[^.\n|]$/, name)
    t.match(expected, /^[^\n|]+$/, name)
  }
})
