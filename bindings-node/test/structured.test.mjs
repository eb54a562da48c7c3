// Answers read by schemas of three libraries: what is asked for, what is read, what is asked for again, and at what cost.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import {
  APIResponseValidationError, APITimeoutError, AnswerFormatError, BudgetExceededError, ContentFilterError, ContentFilterFinishReasonError,
  Interfuse, LengthFinishReasonError, SchemaError, UnsupportedError, standardFunction, standardResponseFormat,
} from 'interfuse'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import * as v from 'valibot'
import { z } from 'zod'

import { messages, upstream } from './upstream.mjs'

const Place = z
  .object({
    city: z.string().describe('without the canton'),
    canton: z.enum(['BE', 'ZH']),
    people: z.int().min(0).nullable(),
    get near() {
      return z.array(Place)
    },
  })
  .meta({ title: 'Place', description: 'Where somebody lives.' })

const THUN = { city: 'Thun', canton: 'BE', people: null, near: [] }
const BERN = { city: 'Bern', canton: 'BE', people: 134591, near: [THUN] }
const TEXT = JSON.stringify(BERN)
const USAGE = { prompt_tokens: 10, completion_tokens: 5 }
const priced = (up) => ({ ...up.config, prices: { 'up/m': { input: '1', output: '2' } } })
const request = { model: 'up/m', messages }

/** The schema that was asked for last. */
async function asked(up) {
  const { type: form, json_schema } = (await up.settled()).at(-1).body.response_format
  assert.equal(form, 'json_schema')
  assert.equal(json_schema.strict, true)
  return json_schema
}

test('a schema of zod, which holds itself', async (t) => {
  const up = await upstream(t, [{ then: { answer: TEXT } }])
  const client = new Interfuse({ config: up.config })
  for (const method of ['parse', 'create']) {
    const answer = await client.chat.completions[method]({ ...request, response_format: Place })
    assert.deepEqual(answer.choices[0].message.parsed, BERN)
  }
  const sent = await asked(up)
  assert.equal(sent.name, 'Place')
  assert.equal(sent.description, 'Where somebody lives.')
  assert.deepEqual(sent.schema.properties, {
    city: { type: 'string', description: 'without the canton' },
    canton: { type: 'string', enum: ['BE', 'ZH'] },
    people: { anyOf: [{ type: 'integer', minimum: 0 }, { type: 'null' }] },
    near: { type: 'array', items: { $ref: '#/$defs/Place' } },
  })
  assert.deepEqual(sent.schema.required, ['city', 'canton', 'people', 'near'])
  assert.equal(sent.schema.additionalProperties, false)
  assert.deepEqual(sent.schema.$defs.Place.required, sent.schema.required)
})

test('a schema of valibot writes its JSON Schema, or has it handed over', async (t) => {
  const Trip = v.object({ day: v.pipe(v.string(), v.isoDate()), by: v.picklist(['rail', 'road']), note: v.optional(v.string()) })
  const fenced = '```json\n{"day": "2026-11-28", "by": "rail", "note": null}\n```'
  const up = await upstream(t, [{ then: { answer: fenced } }])
  const client = new Interfuse({ config: up.config })
  const written = { type: 'object', properties: { day: { type: 'string' }, by: { enum: ['rail', 'road'] }, note: { type: 'string' } }, required: ['day', 'by'] }
  for (const [form, name, day] of [
    [toStandardJsonSchema(Trip), 'answer', { type: 'string', format: 'date' }],
    [standardResponseFormat(Trip, 'a trip', { schema: written, description: 'One.' }), 'a_trip', { type: 'string' }],
  ]) {
    const { parsed } = (await client.chat.completions.parse({ ...request, response_format: form })).choices[0].message
    assert.deepEqual(parsed, { day: '2026-11-28', by: 'rail' }, 'null stands for what is left out')
    const sent = await asked(up)
    assert.equal(sent.name, name)
    assert.deepEqual(sent.schema.properties, {
      day, by: { type: 'string', enum: ['rail', 'road'] }, note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
    })
    assert.deepEqual(sent.schema.required, ['day', 'by', 'note'])
  }
  await assert.rejects(client.chat.completions.parse({ ...request, response_format: Trip }), /valibot writes no JSON Schema.*toStandardJsonSchema/)
})

test('a schema of arktype, read into what it makes', async (t) => {
  const Price = type({ amount: 'string.numeric.parse', 'unit?': '"CHF" | "EUR"', tags: 'string[] <= 3' })
  const up = await upstream(t, [{ then: { answer: '{"amount": "12.50", "unit": null, "tags": []}' } }])
  const answer = await new Interfuse({ config: up.config }).chat.completions.parse({ ...request, response_format: Price })
  assert.deepEqual(answer.choices[0].message.parsed, { amount: 12.5, tags: [] })
  const { schema } = await asked(up)
  assert.deepEqual(schema.properties.unit, { anyOf: [{ enum: ['CHF', 'EUR'], type: 'string' }, { type: 'null' }] })
  assert.equal(schema.properties.tags.maxItems, 3)
})

test('what narrows values only is told in descriptions', async (t) => {
  const Account = z.object({
    name: z.string().min(2).max(9).describe('of the owner'),
    mail: z.email(),
    code: z.string().regex(/^(?!0)\d+$/),
    site: z.url(),
    kind: z.union([z.object({ k: z.literal('a') }), z.object({ k: z.literal(2) })]).optional(),
    seats: z.int().default(1),
  })
  const up = await upstream(t, [{ then: { answer: '{"name": "Ann", "mail": "a@b.ch", "code": "12", "site": "https://b.ch", "kind": null, "seats": null}' } }])
  const answer = await new Interfuse({ config: up.config }).chat.completions.parse({ ...request, response_format: Account })
  assert.deepEqual(answer.choices[0].message.parsed, { name: 'Ann', mail: 'a@b.ch', code: '12', site: 'https://b.ch', seats: 1 })
  const { properties } = (await asked(up)).schema
  assert.deepEqual(properties.name, { type: 'string', description: 'of the owner (at least 2 characters, at most 9 characters)' })
  assert.equal(properties.mail.format, 'email')
  assert.deepEqual(properties.code, { type: 'string', description: '(matches /^(?!0)\\d+$/)' })
  assert.deepEqual(properties.site, { type: 'string', description: '(format uri)' })
  assert.deepEqual(properties.kind.anyOf.map((one) => one.type), ['object', 'object', 'null'])
  assert.deepEqual(properties.kind.anyOf[1].properties.k, { type: 'number', const: 2 })
  assert.deepEqual(properties.seats, { type: 'integer' })
})

test('an answer that does not fit is sent back with what is wrong, and its cost is added', async (t) => {
  const wrong = '{"city": 7, "canton": "GE", "people": -1, "near": [{}]}'
  const up = await upstream(t, [{ then: [{ answer: wrong, usage: USAGE }, { answer: TEXT, usage: USAGE }] }])
  const client = new Interfuse({ config: priced(up) })
  const answer = await client.chat.completions.parse({ ...request, response_format: Place, max_cost_usd: '0.01' }, { timeout: 50_000 })
  assert.equal(answer.choices[0].message.parsed.city, 'Bern')
  const { cost_nanos, cost_usd, attempts } = answer.interfuse
  assert.deepEqual([cost_nanos, cost_usd, attempts.length], [40_000, '0.00004', 2])
  assert.equal((await client.usage()).total.cost_nanos, 40_000)
  const [first, second] = (await up.settled()).map(({ body }) => body)
  assert.deepEqual(second.response_format, first.response_format)
  assert.deepEqual(second.messages.map(({ role }) => role), ['user', 'assistant', 'user'])
  assert.equal(second.messages[1].content, wrong)
  for (const part of ['city: Invalid input: expected string, received number', 'canton: ', 'people: Too small', 'near[0].city: ']) {
    assert.ok(second.messages[2].content.includes(part), `${part} in ${second.messages[2].content}`)
  }
})

test('what never fits is an error that tells its cost', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.', usage: USAGE } }])
  const client = new Interfuse({ config: priced(up) })
  let before = 0
  for (const maxReasks of [0, 2]) {
    await assert.rejects(client.chat.completions.parse({ ...request, response_format: Place }, { maxReasks }), (error) => {
      assert.ok(error instanceof AnswerFormatError && error instanceof APIResponseValidationError)
      assert.equal(error.problems.length, 1)
      assert.match(error.problems[0], /^it is not JSON/)
      assert.deepEqual([error.cost_nanos, error.attempts.length, error.provider], [20_000 * (maxReasks + 1), maxReasks + 1, 'up'])
      assert.equal(error.completion.choices[0].message.content, 'In Bern.')
      return true
    })
    assert.equal((await up.settled()).length - before, maxReasks + 1)
    before += maxReasks + 1
  }
  await assert.rejects(client.chat.completions.parse(request, { maxReasks: -1 }), RangeError)
  await assert.rejects(client.chat.completions.parse({ ...request, stream: true }), TypeError)
  await assert.rejects(client.chat.completions.create(request, { maxReasks: 1 }), TypeError, 'nothing reads that answer')
})

test('money and time are those of all answers', async (t) => {
  const up = await upstream(t, [
    { when: { model: 'slow' }, then: { answer: 'no', delay_ms: 150 } },
    { then: { answer: 'no', usage: { prompt_tokens: 1000, completion_tokens: 450 } } },
  ])
  const client = new Interfuse({ config: priced(up) })
  const body = { ...request, response_format: Place, max_cost_usd: '0.0025', max_completion_tokens: 500 }
  // 1000 nano-USD a token of the prompt, 2000 of the answer: once it fits, twice it does not.
  await assert.rejects(client.chat.completions.parse(body, { maxReasks: 9 }), (error) => {
    assert.ok(error instanceof BudgetExceededError)
    assert.deepEqual([error.cost_nanos, error.attempts.length], [1_900_000, 1], 'what was paid before is told')
    return true
  })
  assert.equal((await up.settled()).length, 1)
  const late = client.chat.completions.parse({ ...request, model: 'up/slow', response_format: Place }, { timeout: 400, maxReasks: 99 })
  await assert.rejects(late, (error) => error instanceof APITimeoutError || error instanceof AnswerFormatError)
  assert.ok((await up.settled()).length < 99, 'the timeout is not that of each answer')
})

test('cut off, filtered and refused', async (t) => {
  const ends = (model, finish_reason, message) => ({
    when: { model },
    then: { json: { id: 'c', object: 'chat.completion', created: 1, model, choices: [{ index: 0, message: { role: 'assistant', content: null, ...message }, finish_reason }] } },
  })
  const up = await upstream(t, [
    ends('m-a', 'length', { content: '{"ci' }), ends('m-b', 'content_filter', { content: '{"ci' }), ends('m-c', 'stop', { refusal: 'No.' }),
  ])
  const { parse } = new Interfuse({ config: up.config }).chat.completions
  await assert.rejects(parse({ ...request, model: 'up/m-a', response_format: Place }), (error) => {
    assert.ok(error instanceof LengthFinishReasonError)
    assert.match(error.message, /max_completion_tokens/)
    assert.equal(error.completion.choices[0].message.content, '{"ci')
    return true
  })
  await assert.rejects(parse({ ...request, model: 'up/m-b', response_format: Place }), (error) => {
    assert.ok(error instanceof ContentFilterFinishReasonError && error instanceof ContentFilterError)
    return true
  })
  const { message } = (await parse({ ...request, model: 'up/m-c', response_format: Place })).choices[0]
  assert.deepEqual([message.parsed, message.refusal], [null, 'No.'])
  assert.equal((await up.settled()).length, 3)
})

for (const [schema, place, what] of [
  [z.object({ words: z.record(z.string(), z.number()) }), 'response_format.words', 'any keys'],
  [z.object({ open: z.looseObject({}) }), 'response_format.open', 'any keys'],
  [z.object({ pair: z.tuple([z.int(), z.string()]) }), 'response_format.pair', 'tuple'],
  [z.object({ inner: z.array(z.any()) }), 'response_format.inner[]', 'any type'],
  [z.object({ inner: z.object({ day: z.date() }) }), 'response_format.inner.day', 'zod has no JSON Schema for it: Date'],
  [z.array(z.int()), 'response_format', 'no object'],
  [type({ when: { day: 'Date' } }), 'response_format.when.day', 'any type'],
  [toStandardJsonSchema(v.object({ n: v.array(v.bigint()) })), 'response_format.n[]', 'valibot has no JSON Schema'],
]) {
  test(`what the strict subset cannot hold is named: ${place}, ${what}`, async (t) => {
    const up = await upstream(t, [{ then: { answer: '{}' } }])
    await assert.rejects(new Interfuse({ config: up.config }).chat.completions.parse({ ...request, response_format: schema }), (error) => {
      assert.ok(error instanceof SchemaError && error instanceof UnsupportedError)
      assert.equal(error.param, place)
      assert.ok(error.message.includes(what), error.message)
      return true
    })
    assert.deepEqual(await up.settled(), [])
  })
}

test('deep, wide and broken schemas are named, too', () => {
  const format = (schema) => () => standardResponseFormat(z.any(), 'x', { schema })
  let deep = { type: 'object', properties: { end: { type: 'string' } } }
  for (let depth = 0; depth < 10; depth += 1) deep = { type: 'object', properties: { in: deep } }
  assert.throws(format(deep), { param: `response_format${'.in'.repeat(10)}`, message: /10 deep/ })
  const names = Array.from({ length: 5001 }, (_, n) => [`p${n}`, { type: 'string' }])
  assert.throws(format({ type: 'object', properties: Object.fromEntries(names) }), /5001 properties/)
  assert.throws(format({ type: 'object', properties: { a: { $ref: '#/$defs/No' } } }), { param: 'response_format.a', message: /"No"/ })
  assert.throws(format({ $ref: '#/$defs/A', $defs: { A: { $ref: '#/$defs/A' } } }), /no object/)
  assert.throws(format({ type: 'object', properties: { a: { allOf: [{ type: 'object' }, { type: 'object' }] } } }), /allOf/)
  assert.throws(() => standardResponseFormat({ type: 'object' }, 'x'), TypeError)
  const { schema } = format({ $ref: '#/$defs/A', $defs: { A: { type: 'object', properties: { b: { $ref: '#/$defs/B', description: 'beside' } } }, B: { type: 'string' } } })().json_schema
  assert.deepEqual(schema.properties.b, { description: 'beside', anyOf: [{ type: 'string' }, { type: 'null' }] })
  assert.equal(schema.$defs, undefined, 'what nothing refers to is not sent')
})

test('a message put back is what the model wrote', async (t) => {
  const up = await upstream(t, [{ then: { answer: TEXT } }])
  const client = new Interfuse({ config: up.config })
  const { message } = (await client.chat.completions.parse({ ...request, response_format: Place })).choices[0]
  await client.chat.completions.create({ ...request, messages: [...messages, message, { role: 'user', content: 'And?' }] })
  assert.deepEqual((await up.settled())[1].body.messages[1], { role: 'assistant', content: TEXT })
})

test('arguments of tools are read', async (t) => {
  const calls = [{ name: 'Place', arguments: THUN }, { name: 'other', arguments: { x: 1 } }]
  const up = await upstream(t, [{ then: { answer: '', tool_calls: calls } }])
  const client = new Interfuse({ config: up.config })
  const tools = [standardFunction({ name: 'Place', parameters: Place }), { type: 'function', function: { name: 'other' } }]
  const { message } = (await client.chat.completions.parse({ ...request, tools })).choices[0]
  assert.equal(message.parsed, null)
  assert.deepEqual(message.tool_calls.map((call) => call.function.parsed_arguments), [THUN, null])
  const sent = (await up.settled())[0].body.tools
  assert.equal(sent[0].function.strict, true)
  assert.deepEqual(sent[1], tools[1])
})

test('streamed plainly the schema is only asked for', async (t) => {
  const up = await upstream(t, [{ then: { answer: TEXT } }])
  let all = ''
  const stream = await new Interfuse({ config: up.config }).chat.completions.create({ ...request, response_format: Place, stream: true })
  for await (const chunk of stream) all += chunk.choices[0]?.delta.content ?? ''
  assert.equal(all, TEXT)
  assert.equal((await asked(up)).name, 'Place')
})

test("formats and tools of OpenAI's helpers are read, too", async (t) => {
  const Rain = z.object({ rain: z.boolean() })
  const up = await upstream(t, [
    { when: { model: 'm-tool' }, then: { answer: '', tool_calls: [{ name: 'tell', arguments: { rain: true } }] } },
    { then: [{ answer: '{"rain": 1}' }, { answer: '{"rain": true}' }] },
  ])
  const { parse } = new Interfuse({ config: up.config }).chat.completions
  const format = zodResponseFormat(Rain, 'rain')
  assert.deepEqual((await parse({ ...request, response_format: format })).choices[0].message.parsed, { rain: true })
  const tools = [zodFunction({ name: 'tell', parameters: Rain })]
  const { message } = (await parse({ ...request, model: 'up/m-tool', tools })).choices[0]
  assert.deepEqual(message.tool_calls[0].function.parsed_arguments, { rain: true })
  assert.deepEqual((await up.settled()).map(({ body }) => body.response_format?.json_schema.name), ['rain', 'rain', undefined])
})
