// Functions as tools, and the loop that calls them: steps, money, errors, cancellation.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import { BadRequestError, BudgetExceededError, Interfuse, MaxStepsError, SchemaError, standardFunction } from 'interfuse'
import { zodFunction } from 'openai/helpers/zod'
import * as v from 'valibot'
import { z } from 'zod'

import { messages, upstream } from './upstream.mjs'

const USAGE = { prompt_tokens: 10, completion_tokens: 5 }
const call = (name, args) => ({ name, arguments: args })
const priced = (up) => ({ ...up.config, prices: { 'up/m': { input: '1', output: '2' } } })

/** These calls, turn by turn, and then an answer. */
const turns = (...calls) => [
  { then: [...calls.map((one) => ({ answer: '', tool_calls: [one].flat(), usage: USAGE })), { answer: 'It will rain.', usage: USAGE }] },
]

/** What tools said in a request. */
const said = async (up, at) => (await up.settled())[at].body.messages.filter(({ role }) => role === 'tool').map(({ content }) => content)

const Weather = z.object({ city: z.string().describe('Name of the city.'), unit: z.enum(['C', 'F']).default('C'), near: z.array(z.string()).optional() })
const weather = standardFunction({
  name: 'weather', description: 'The weather of a day.', parameters: Weather, function: ({ city, unit, near }) => ({ city, unit, near, degrees: 7.5 }),
})
const add = standardFunction({ name: 'add', parameters: type({ a: 'number', b: 'number' }), function: ({ a, b }) => a + b })

test('a tool is told by its schema', () => {
  assert.deepEqual({ ...weather.function, parameters: undefined }, { name: 'weather', description: 'The weather of a day.', parameters: undefined })
  assert.equal('strict' in weather.function, false, 'an argument that may be left out is one that strict knows not')
  assert.deepEqual(weather.function.parameters.required, ['city'])
  assert.deepEqual(weather.function.parameters.properties.city, { type: 'string', description: 'Name of the city.' })
  assert.equal(add.function.strict, true)
  assert.deepEqual(add.function.parameters, {
    type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'], additionalProperties: false,
  })
  const free = standardFunction({ name: 'free words', parameters: toStandardJsonSchema(v.object({ words: v.record(v.string(), v.number()) })) })
  assert.deepEqual([free.function.name, 'strict' in free.function], ['free_words', false])
  const dated = { name: 'dated', parameters: z.object({ days: z.array(z.date()) }), function: () => 0 }
  assert.throws(() => standardFunction(dated), (error) => error instanceof SchemaError && error.param === 'dated.days[]')
  assert.throws(() => standardFunction({ name: 'x', parameters: { type: 'object' } }), TypeError)
})

test('the loop', async (t) => {
  const note = standardFunction({ name: 'note', parameters: z.object({ text: z.string() }), function: async () => undefined })
  const up = await upstream(t, turns(call('weather', { city: 'Bern', near: null }), [call('add', { a: 1, b: 2 }), call('note', { text: 'dry' })]))
  const client = new Interfuse({ config: priced(up) })
  const run = await client.runTools('Will it rain?', { model: 'up/m', tools: [weather, add, note], temperature: 0 })
  assert.deepEqual([run.text, run.steps, run.parsed], ['It will rain.', 3, null])
  assert.deepEqual([run.cost_nanos, run.cost_usd], [60_000, '0.00006'])
  assert.equal((await client.usage()).total.cost_nanos, 60_000)
  assert.deepEqual(JSON.parse((await said(up, 1))[0]), { city: 'Bern', unit: 'C', degrees: 7.5 })
  assert.deepEqual((await said(up, 2)).slice(1), ['3', 'null'])
  assert.deepEqual(run.calls.map(({ name, error }) => [name, error]), [['weather', null], ['add', null], ['note', null]])
  assert.deepEqual(run.messages.map(({ role }) => role), ['user', 'assistant', 'tool', 'assistant', 'tool', 'tool', 'assistant'])
  assert.equal(run.completion.interfuse.cost_nanos, 20_000)
  const again = await client.runTools({ model: 'up/m', messages: [...run.messages, { role: 'user', content: 'Sure?' }], tools: [add] })
  assert.equal(again.steps, 1)
  assert.equal((await up.settled())[3].body.messages.length, 8)
})

test('what goes wrong is told to the model', async (t) => {
  const breaks = standardFunction({ name: 'breaks', parameters: type({ text: 'string' }), function: ({ text }) => { throw new RangeError(text) } })
  const wrong = [call('breaks', { text: 'no' }), call('add', { a: '3' }), call('nothing', {}), { name: 'add', arguments: '{"a": ' }]
  const up = await upstream(t, turns(wrong))
  const run = await new Interfuse({ config: up.config }).runTools({ model: 'up/m', messages, tools: [breaks, add] })
  const [first, second, third, fourth] = await said(up, 1)
  assert.equal(first, 'error: RangeError: no')
  assert.match(second, /^error: the arguments do not fit: a: .*number.*; b: .*missing/)
  assert.match(third, /there is no tool "nothing"; there are breaks, add/)
  assert.match(fourth, /not JSON/)
  assert.ok(run.calls.every(({ result, error }) => result === null && error))
  assert.equal('cost_nanos' in run, false, 'a price nobody told is unknown')
})

test('it ends at its last step', async (t) => {
  const up = await upstream(t, turns(...Array(5).fill(call('add', { a: 1, b: 1 }))))
  const client = new Interfuse({ config: priced(up) })
  const body = { model: 'up/m', messages, tools: [add] }
  await assert.rejects(client.runTools(body, { maxSteps: 2 }), (error) => {
    assert.ok(error instanceof MaxStepsError && error instanceof BudgetExceededError)
    assert.match(error.message, /2 steps/)
    const { run } = error
    assert.deepEqual([run.steps, run.cost_nanos, error.cost_nanos, run.calls.length, error.attempts.length], [2, 40_000, 40_000, 2, 2])
    assert.deepEqual(run.messages.map(({ role }) => role), ['user', 'assistant', 'tool', 'assistant', 'tool'])
    return true
  })
  assert.equal((await up.settled()).length, 2)
  await assert.rejects(client.runTools(body, { maxSteps: 0 }), RangeError)
})

test('it ends at its budget', async (t) => {
  const usage = { prompt_tokens: 1000, completion_tokens: 100 }
  const up = await upstream(t, [{ then: { answer: '', tool_calls: [call('add', { a: 1, b: 1 })], usage } }])
  const client = new Interfuse({ config: priced(up) })
  const body = { model: 'up/m', messages, tools: [add], max_cost_usd: '0.003', max_completion_tokens: 100 }
  const error = await client.runTools(body).catch((error) => error)
  assert.equal(error.constructor, BudgetExceededError)
  assert.ok(error.run.cost_nanos <= 3_000_000)
  assert.ok([1, 2].includes(error.run.steps))
  assert.deepEqual([error.run.steps, error.cost_nanos], [(await up.settled()).length, error.run.cost_nanos])
  assert.equal((await client.usage()).total.cost_nanos, error.run.cost_nanos)
})

test('a failure on the way has what was done', async (t) => {
  const failing = { status: 400, json: { error: { message: 'no more' } } }
  const up = await upstream(t, [{ then: [{ answer: '', tool_calls: [call('add', { a: 1, b: 1 })] }, failing] }])
  const client = new Interfuse({ config: up.config })
  const error = await client.runTools({ model: 'up/m', messages, tools: [add] }).catch((error) => error)
  assert.ok(error instanceof BadRequestError)
  assert.deepEqual([error.run.steps, error.attempts.length], [1, 2])
  assert.equal(JSON.stringify(error).includes('steps'), false)
  await assert.rejects(client.chat.completions.create({ model: 'up/m', messages }), (plain) => plain.run === undefined)
})

test('what is no function is refused before anything is sent', async (t) => {
  const up = await upstream(t, turns())
  const client = new Interfuse({ config: up.config })
  const parameters = type({ a: 'number' })
  for (const tools of [
    [{ type: 'function', function: { name: 'f' } }], [standardFunction({ name: 'f', parameters })], [add, add],
  ]) await assert.rejects(client.runTools({ model: 'up/m', messages, tools }), TypeError)
  await assert.rejects(client.runTools({ model: 'up/m', messages, tools: [add], stream: true }), TypeError)
  assert.deepEqual(await up.settled(), [])
})

test('the last answer is read by a schema', async (t) => {
  const up = await upstream(t, [{ then: [{ answer: '', tool_calls: [call('add', { a: 1, b: 1 })] }, { answer: 'no' }, { answer: '{"rain": true}' }] }])
  const run = await new Interfuse({ config: up.config }).runTools('Rain?', { model: 'up/m', tools: [add], response_format: z.object({ rain: z.boolean() }) })
  assert.deepEqual([run.parsed, run.steps, (await up.settled()).length], [{ rain: true }, 2, 3])
})

test('functions of one step run at the same time', async (t) => {
  const up = await upstream(t, turns([call('first', {}), call('second', {})]))
  let ran
  const second = new Promise((resolve) => { ran = resolve })
  const parameters = type({})
  const tools = [
    standardFunction({ name: 'first', parameters, function: () => second.then(() => 'one') }),
    standardFunction({ name: 'second', parameters, function: () => ran() ?? 2 }),
  ]
  const run = await new Interfuse({ config: up.config }).runTools({ model: 'up/m', messages, tools })
  assert.deepEqual(run.calls.map(({ result }) => result), ['one', '2'])
})

test('an abort ends the run and tells its functions', async (t) => {
  const up = await upstream(t, turns(call('waits', {})))
  const controller = new AbortController()
  let told
  const waits = standardFunction({
    name: 'waits', parameters: type({}), function: (_, { signal }) => new Promise(() => {
      signal.addEventListener('abort', () => { told = signal.reason })
      controller.abort('enough')
    }),
  })
  const run = new Interfuse({ config: up.config }).runTools({ model: 'up/m', messages, tools: [waits] }, { signal: controller.signal })
  await assert.rejects(run, (error) => {
    assert.deepEqual([error.name, error.kind, error.run.steps, error.attempts.length], ['AbortError', 'cancelled', 1, 1])
    return true
  })
  assert.equal(told, 'enough')
  assert.equal((await up.settled()).length, 1)
})

test("tools of OpenAI's helpers, and as its own runTools takes them", async (t) => {
  const calls = [call('helped', { n: 2 }), call('parsed', { n: 3 }), call('plain', { n: 4 })]
  const up = await upstream(t, turns(calls))
  const tools = [
    zodFunction({ name: 'helped', parameters: z.object({ n: z.number() }), function: ({ n }) => n * 10 }),
    { type: 'function', function: { name: 'parsed', parse: JSON.parse, function: ({ n }) => n * 10, parameters: { type: 'object' } } },
    { type: 'function', function: { name: 'plain', function: (text) => typeof text } },
  ]
  const run = await new Interfuse({ config: up.config }).runTools({ model: 'up/m', messages, tools })
  assert.deepEqual(run.calls.map(({ result }) => result), ['20', '30', 'string'])
  assert.deepEqual((await up.settled())[0].body.tools[1], { type: 'function', function: { name: 'parsed', parameters: { type: 'object' } } })
})
