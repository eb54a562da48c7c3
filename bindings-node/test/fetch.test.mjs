// OpenAI's own client of two generations, unmodified, with `fetch: client.fetch`.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { Interfuse } from 'interfuse'
import OpenAI6 from 'openai'
import OpenAI7 from 'openai-7'

import { endless, messages, upstream } from './upstream.mjs'

for (const [name, OpenAI] of [['openai 6', OpenAI6], ['openai 7', OpenAI7]]) describe(name, () => {
  const through = (up, config) => {
    const client = new Interfuse({ config: { ...up.config, ...config } })
    return { client, openai: new OpenAI({ apiKey: 'not-sent', baseURL: 'http://interfuse.invalid/v1', fetch: client.fetch }) }
  }

  test('an answer, through interfuse', async (t) => {
    const up = await upstream(t, [{ then: [{ status: 500, json: {} }, { answer: 'In Bern.' }] }])
    const { client, openai } = through(up)
    const answer = await openai.chat.completions.create({ model: 'up/m', messages })
    assert.equal(answer.choices[0].message.content, 'In Bern.')
    assert.equal(answer.interfuse.attempts.length, 2)
    assert.equal((await client.usage()).total.attempts, 2)
    assert.ok((await up.settled()).every((entry) => entry.headers.authorization === 'Bearer key'))
  })

  test('a stream, left early', async (t) => {
    const up = await upstream(t, [{ when: { model: 'm' }, then: { answer: 'In Bern, of course.' } }, { when: { model: 'e' }, then: endless('In ') }])
    const { openai } = through(up)
    let all = ''
    for await (const chunk of await openai.chat.completions.create({ model: 'up/m', messages, stream: true })) all += chunk.choices[0]?.delta.content ?? ''
    assert.equal(all, 'In Bern, of course.')
    for await (const _ of await openai.chat.completions.create({ model: 'up/e', messages, stream: true })) break
    const log = await up.settled()
    assert.notEqual(log.at(-1).client_closed_ms ?? null, null)
  })

  test('an error is one of its own, and is not retried again', async (t) => {
    const up = await upstream(t, [{ then: { status: 429, headers: { 'retry-after': '0' }, json: { error: { message: 'slow down' } } } }])
    const { openai } = through(up)
    await assert.rejects(openai.chat.completions.create({ model: 'up/m', messages }), (error) => {
      assert.ok(error instanceof OpenAI.RateLimitError)
      assert.match(error.message, /slow down/)
      return true
    })
    assert.equal((await up.settled()).length, 2, 'one call and its retry')
    await assert.rejects(openai.images.generate({ prompt: 'x' }), OpenAI.NotFoundError)
  })

  test('an abort', async (t) => {
    const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
    const { openai } = through(up)
    const controller = new AbortController()
    const answer = openai.chat.completions.create({ model: 'up/m', messages }, { signal: controller.signal })
    while ((await up.log()).length === 0) await new Promise(setImmediate)
    controller.abort()
    await assert.rejects(answer, OpenAI.APIUserAbortError)
    const [entry] = await up.settled()
    assert.notEqual(entry.client_closed_ms ?? null, null)
  })

  test('the list of models', async (t) => {
    const { openai } = through(await upstream(t, []))
    const ids = []
    for await (const model of openai.models.list()) ids.push(model.id)
    assert.ok(ids.length > 10)
  })

  test('a request id, of an answer and of an error', async (t) => {
    const id = { 'x-request-id': 'req_7' }
    const up = await upstream(t, [{ when: { model: 'm' }, then: { headers: id, answer: 'ok' } }, { then: { headers: id, status: 404, json: {} } }])
    const { openai } = through(up)
    assert.equal((await openai.chat.completions.create({ model: 'up/m', messages }))._request_id, 'req_7')
    await assert.rejects(openai.chat.completions.create({ model: 'up/x', messages }), { requestID: 'req_7', type: 'not_found' })
  })

  test('tools, called by the client\'s own runner', async (t) => {
    const up = await upstream(t, [
      { when: { last_role: 'tool' }, then: { answer: 'Rain in Bern.' } },
      { then: { answer: '', tool_calls: [{ name: 'weather', arguments: { city: 'Bern' } }], finish_reason: 'tool_calls' } },
    ])
    const { openai } = through(up)
    const asked = []
    const weather = { name: 'weather', description: 'Weather of a city', parse: JSON.parse, parameters: { type: 'object', properties: { city: { type: 'string' } } }, function: ({ city }) => asked.push(city) && 'rain' }
    for (const stream of [false, true]) {
      const runner = openai.chat.completions.runTools({ model: 'up/m', messages, stream, tools: [{ type: 'function', function: weather }] })
      assert.equal(await runner.finalContent(), 'Rain in Bern.')
    }
    assert.deepEqual(asked, ['Bern', 'Bern'])
  })

  test('structured output', async (t) => {
    const up = await upstream(t, [{ then: { answer: '{"city":"Bern"}' } }])
    const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
    const { openai } = through(up)
    const format = { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } }
    const { choices } = await openai.chat.completions.parse({ model: 'up/m', messages, response_format: format })
    assert.deepEqual(JSON.parse(choices[0].message.content), { city: 'Bern' })
    assert.deepEqual((await up.settled())[0].body.response_format.json_schema.schema, schema)
  })

  test('a fused answer, whole and streamed', async (t) => {
    const up = await upstream(t, ['a', 'b', 'c'].map((name) => ({ when: { model: `m-${name}` }, then: { answer: name === 'c' ? 'Zurich.' : 'Bern.' } })))
    const { openai } = through(up, { pools: { default: { pool: ['up/m-a', 'up/m-b', 'up/m-c'] } } })
    const whole = await openai.chat.completions.create({ model: 'interfuse/vote', messages })
    assert.equal(whole.choices[0].message.content, 'Bern.')
    assert.equal(whole._request_id, whole.interfuse.fusion.run_id)
    const streamed = openai.chat.completions.stream({ model: 'interfuse/vote', messages })
    assert.equal(await streamed.finalContent(), 'Bern.')
  })
})
