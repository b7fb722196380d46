import { test } from 'tap'
import { checkDefinition, checkSchedule, hashOf, toDefinition } from '../../../services/scheduler/definition.js'
import type { DefinitionOptions } from '../../../services/scheduler/definition.js'

const refused: Array<{ options: object, problem: string }> = [
  { options: {}, problem: 'option `name` must be a string of 1 to 100 letters, digits, `_`, `.` or `-`, got nothing' },
  { options: { name: 'a b' }, problem: "schedule `a b`: option `name` must be a string of 1 to 100 letters, digits, `_`, `.` or `-`, got 'a b' (string)" },
  { options: { name: 'x', cron: '60 * * * *' }, problem: "schedule `x`: option `cron` must be a cron expression of 5 or 6 fields, 256 characters at most, got '60 * * * *' (string): Invalid value for minute: 60" },
  { options: { name: 'x', cron: '0 0 30 2 *' }, problem: "schedule `x`: option `cron` must be a cron expression of 5 or 6 fields, 256 characters at most, got '0 0 30 2 *' (string): it never comes" },
  { options: { name: 'x', cron: 5 }, problem: 'schedule `x`: option `cron` must be a cron expression of 5 or 6 fields, 256 characters at most, got `5` (number)' },
  { options: { name: 'x', every: 999 }, problem: 'schedule `x`: option `every` must be an integer from 1000 to 2147483647 (ms), got `999` (number)' },
  { options: { name: 'x', every: 1_000.5 }, problem: 'schedule `x`: option `every` must be an integer from 1000 to 2147483647 (ms), got `1000.5` (number)' },
  { options: { name: 'x', every: -5 }, problem: 'schedule `x`: option `every` must be an integer from 1000 to 2147483647 (ms), got `-5` (number)' },
  { options: { name: 'x', every: 1_000, cron: '* * * * *' }, problem: "schedule `x`: only one of the options `cron` and `every` may be given, got '* * * * *' (string) and `1000` (number)" },
  { options: { name: 'x', timezone: 'Mars/Olympus' }, problem: "schedule `x`: option `timezone` must be an IANA time zone, got 'Mars/Olympus' (string)" },
  { options: { name: 'x', overlap: 'queue' }, problem: "schedule `x`: option `overlap` must be 'skip' or 'bufferOne' or 'bufferAll' or 'cancelOther' or 'allow', got 'queue' (string)" },
  { options: { name: 'x', catchUp: { policy: 'some' } }, problem: "schedule `x`: option `catchUp.policy` must be 'latest' or 'all' or 'none', got 'some' (string)" },
  { options: { name: 'x', catchUp: { cap: 0 } }, problem: 'schedule `x`: option `catchUp.cap` must be an integer from 1 to 1000 (ticks), got `0` (number)' },
  { options: { name: 'x', catchUp: { days: 1 } }, problem: 'schedule `x`: option `catchUp.days` is not known, expected one of policy, window, cap' },
  { options: { name: 'x', catchUp: 'all' }, problem: "schedule `x`: option `catchUp` must be an object, got 'all' (string)" },
  { options: { name: 'x', jitter: -1 }, problem: 'schedule `x`: option `jitter` must be an integer from 0 to 2147483647 (ms), got `-1` (number)' },
  { options: { name: 'x', every: 1_000, jitter: 2_000 }, problem: 'schedule `x`: option `jitter` must be `every` (1000) at most, got `2000` (number)' },
  { options: { name: 'x', startDelay: '5s' }, problem: "schedule `x`: option `startDelay` must be an integer from 0 to 2147483647 (ms), got '5s' (string)" },
  { options: { name: 'x', payload: () => {} }, problem: 'schedule `x`: option `payload` must be JSON without U+0000 and halves of surrogate pairs, got `() => { }` (function)' },
  { options: { name: 'x', payload: 'a\0' }, problem: "schedule `x`: option `payload` must be JSON without U+0000 and halves of surrogate pairs, got 'a\0' (string)" },
  { options: { name: 'x', retries: 5, maxStarts: 5 }, problem: 'schedule `x`: option `maxStarts` must be more than `retries` (5), got `5` (number)' },
  { options: { name: 'x', backoff: { maxDelay: 10 } }, problem: 'schedule `x`: option `backoff.maxDelay` must be `backoff.minDelay` (1000) at least, got `10` (number)' },
  { options: { name: 'x', backoff: { delay: 10 } }, problem: 'schedule `x`: option `backoff.delay` is not known, expected one of minDelay, maxDelay' },
  { options: { name: 'x', revision: 1.5 }, problem: 'schedule `x`: option `revision` must be an integer from 0 to 9007199254740991 (a number that grows), got `1.5` (number)' }
]

await test('Each wrong option is told, with the schedule it belongs to', async (t) => {
  for (const { options, problem } of refused) {
    const told = checkDefinition(options as DefinitionOptions)
    t.equal(told?.replace(/\(\)\s*=>\s*\{\s*\}/, '() => { }'), problem)
  }
  t.match(checkDefinition({ name: 'x', cron: `${'0,'.repeat(124)}0 * * * *` }), /256 characters at most/)
  t.equal(checkDefinition({ name: 'x', cron: `${'0,'.repeat(123)}0 * * * *` }), null)
})

await test('What may be written is taken', async (t) => {
  const fine: DefinitionOptions[] = [
    { name: 'reports.weekly', cron: '0 3 * * MON', timezone: 'Europe/Berlin', startDelay: 0, jitter: 60_000, overlap: 'bufferOne', catchUp: { policy: 'all', window: 0, cap: 1 } },
    { name: 'x', every: 1_000, timeout: 1, retries: 3, backoff: { minDelay: 0 }, maxStarts: 4, schema: {}, revision: 20261127, payload: { to: ['\\u0000', '\u{1f600}'] } },
    { name: 'by-hand' }
  ]
  for (const options of fine) t.equal(checkDefinition(options), null, options.name)
})

await test('The schedule of a user needs a cadence, and has nothing of how a job runs', async (t) => {
  t.equal(checkSchedule({ name: 'x' }), 'schedule `x`: one of the options `cron` and `every` must be given')
  t.match(checkSchedule({ name: 'x', every: 5_000, retries: 3 } as object as DefinitionOptions), /^schedule `x`: option `retries` is not known/)
  t.equal(checkSchedule({ name: 'x', every: 5_000 }), null)
})

await test('What is left out has its default', async (t) => {
  t.same(toDefinition({ name: 'x' }), {
    name: 'x',
    cron: null,
    every: null,
    timezone: 'UTC',
    startDelay: 0,
    jitter: 0,
    overlap: 'skip',
    catchUp: { policy: 'latest', window: 3_600_000, cap: 100 },
    payload: null,
    timeout: 600_000,
    retries: 0,
    backoff: { minDelay: 1_000, maxDelay: 300_000 },
    maxStarts: 5,
    interruptible: false,
    schema: null,
    revision: 0
  })
})

await test('The hash is over what the row holds, whatever the order it is written in', async (t) => {
  const base: DefinitionOptions = { name: 'x', cron: '0 3 * * *', payload: { a: 1, b: 2 } }
  const hash = (changed: Partial<DefinitionOptions>): string => hashOf(toDefinition({ ...base, ...changed }))
  const same: Array<Partial<DefinitionOptions>> = [{ payload: { b: 2, a: 1 } }, { timezone: 'UTC' }, { cron: ' 0  3 * * * ' }, { startDelay: 5 }, { retries: 3 }, { revision: 2 }, { timeout: 1 }, { schema: {} }]
  for (const changed of same) t.equal(hash(changed), hash({}), JSON.stringify(changed))
  const other: Array<Partial<DefinitionOptions>> = [{ cron: '0 4 * * *' }, { timezone: 'Europe/Berlin' }, { jitter: 1 }, { overlap: 'allow' }, { catchUp: { policy: 'all' } }, { payload: { a: 1 } }, { payload: null }]
  for (const changed of other) t.not(hash(changed), hash({}), JSON.stringify(changed))
})
