// The AI SDK of two generations, unmodified, with its provider for compatible servers and `fetch: client.fetch`.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import * as compatible6 from '@ai-sdk/openai-compatible'
import * as ai6 from 'ai'
import * as ai7 from 'ai-7'
import * as compatible7 from 'ai-sdk-openai-compatible-3'
import { Interfuse } from 'interfuse'

import { endless, upstream } from './upstream.mjs'

for (const [name, ai, compatible] of [['ai 6', ai6, compatible6], ['ai 7', ai7, compatible7]]) describe(name, () => {
  const { APICallError, generateText, jsonSchema, Output, streamText, tool } = ai
  const through = (up, config = {}) => {
    const client = new Interfuse({ config: { ...up.config, ...config } })
    const provider = compatible.createOpenAICompatible({
      name: 'interfuse', apiKey: 'not sent', baseURL: 'http://interfuse.invalid/v1', fetch: client.fetch, supportsStructuredOutputs: true,
    })
    return (model) => ({ model: provider(model), maxRetries: 0, prompt: 'Where?' })
  }

  test('text', async (t) => {
    const up = await upstream(t, [{ then: { answer: 'In Bern.', usage: { prompt_tokens: 7, completion_tokens: 2 } } }])
    const { text, usage } = await generateText(through(up)('up/m'))
    assert.equal(text, 'In Bern.')
    assert.deepEqual([usage.inputTokens, usage.outputTokens], [7, 2])
    assert.equal((await up.settled())[0].headers.authorization, 'Bearer key')
  })

  test('a stream comes before its end, and leaving it ends it', async (t) => {
    const up = await upstream(t, [{ when: { model: 'm' }, then: { answer: 'In Bern, of course.' } }, { when: { model: 'e' }, then: endless('In ') }])
    const ask = through(up)
    let all = ''
    for await (const part of streamText(ask('up/m')).textStream) all += part
    assert.equal(all, 'In Bern, of course.')
    const controller = new AbortController()
    // The server sends nothing after the first chunk.
    for await (const part of streamText({ ...ask('up/e'), abortSignal: controller.signal }).textStream) {
      assert.equal(part, 'In ')
      controller.abort()
    }
    assert.notEqual((await up.settled()).at(-1).client_closed_ms ?? null, null)
  })

  test('a tool is called', async (t) => {
    const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } }
    const asks = { id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: null, tool_calls: [call] }, finish_reason: 'tool_calls' }] }
    const up = await upstream(t, [{ then: { json: asks } }])
    const inputSchema = jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] })
    const asked = []
    const { toolResults } = await generateText({ ...through(up)('up/m'), tools: { weather: tool({ inputSchema, execute: ({ city }) => asked.push(city) && 'rain' }) } })
    assert.deepEqual(asked, ['Bern'])
    assert.equal(toolResults[0].output, 'rain')
  })

  test('structured output', async (t) => {
    const up = await upstream(t, [{ then: { answer: '{"city":"Bern"}' } }])
    const schema = jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false })
    const { output } = await generateText({ ...through(up)('up/m'), output: Output.object({ schema }) })
    assert.deepEqual(output, { city: 'Bern' })
    assert.equal((await up.settled())[0].body.response_format.type, 'json_schema')
  })

  test('an error is one of its own', async (t) => {
    const up = await upstream(t, [{ then: { status: 403, json: { error: { message: 'not for you' } } } }])
    await assert.rejects(generateText(through(up)('up/m')), (error) => {
      assert.ok(APICallError.isInstance(error))
      assert.equal(error.statusCode, 403)
      assert.match(error.message, /not for you/)
      return true
    })
  })

  test('a fused answer', async (t) => {
    const up = await upstream(t, ['a', 'b', 'c'].map((name) => ({ when: { model: `m-${name}` }, then: { answer: name === 'c' ? 'Zurich.' : 'Bern.' } })))
    const pools = { default: { pool: ['up/m-a', 'up/m-b', 'up/m-c'] } }
    const { text } = await generateText(through(up, { pools })('interfuse/vote'))
    assert.equal(text, 'Bern.')
  })
})
