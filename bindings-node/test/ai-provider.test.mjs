// `interfuse/ai`, judged by two generations of the AI SDK.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import * as ai6 from 'ai'
import * as ai7 from 'ai-7'
import { CallCancelledError, Interfuse, RateLimitError, UnsupportedError } from 'interfuse'
import { createInterfuse } from 'interfuse/ai'

import { chunk, endless, upstream } from './upstream.mjs'

const through = (up, config) => createInterfuse({ client: new Interfuse({ config: { ...up.config, ...config } }) })
const delta = (delta, finish_reason = null, more) => ({ id: 's', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'm-1', choices: [{ index: 0, delta, finish_reason }], ...more })
const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }

for (const [name, ai] of [['ai 6', ai6], ['ai 7', ai7]]) describe(name, () => {
  const { APICallError, embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } = ai
  const steps = { stopWhen: (ai.isStepCount ?? stepCountIs)(5) }

  test('text, with settings, usage and what interfuse adds', async (t) => {
    const usage = { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 }, completion_tokens_details: { reasoning_tokens: 2 } }
    const up = await upstream(t, [{ then: { answer: 'In Bern.', usage } }])
    const provider = through(up, { prices: { 'up/m': { input: '1', cache_read: '0.1', output: '2' } } })
    const answer = await generateText({
      model: provider('up/m'), system: 'Be brief.', prompt: 'Where?', maxOutputTokens: 9, temperature: 0.5, topP: 0.9, topK: 3, seed: 7, stopSequences: ['!'],
      headers: { 'x-mine': '1' }, providerOptions: { interfuse: { tags: { user: 'u1' }, reasoning_effort: 'low', max_cost_usd: '1' } },
    })
    assert.equal(answer.text, 'In Bern.')
    assert.equal(answer.finishReason, 'stop')
    assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [10, 5])
    assert.deepEqual([answer.usage.inputTokenDetails.cacheReadTokens, answer.usage.outputTokenDetails.reasoningTokens], [4, 2])
    const told = answer.providerMetadata.interfuse
    assert.deepEqual([told.provider, told.attempts.length, told.cost_usd], ['up', 1, '0.0000164'])
    const [{ body, headers }] = await up.settled()
    assert.deepEqual(body.messages, [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Where?' }])
    assert.deepEqual([body.temperature, body.top_p, body.top_k, body.seed, body.reasoning_effort], [0.5, 0.9, 3, 7, 'low'])
    assert.equal(body.max_completion_tokens ?? body.max_tokens, 9)
    assert.deepEqual([body.stop].flat(), ['!'])
    assert.equal(headers['x-mine'], '1')
    assert.doesNotMatch(headers['user-agent'] ?? '', /^ai\//)
    assert.deepEqual([body.tags, body.max_cost_usd, body.fetch_images], [undefined, undefined, undefined])
  })

  test('a stream comes before its end, and leaving it ends it', async (t) => {
    const up = await upstream(t, [{ when: { model: 'm' }, then: { answer: 'In Bern, of course.' } }, { when: { model: 'e' }, then: endless('In ') }])
    const provider = through(up)
    const whole = streamText({ model: provider('up/m'), prompt: 'Where?' })
    let all = ''
    for await (const part of whole.textStream) all += part
    assert.equal(all, 'In Bern, of course.')
    assert.equal((await whole.providerMetadata).interfuse.provider, 'up')
    assert.ok((await whole.usage).outputTokens > 0)
    assert.equal((await whole.finishReason), 'stop')
    const controller = new AbortController()
    // The server sends nothing after the first chunk.
    for await (const part of streamText({ model: provider('up/e'), prompt: 'Where?', abortSignal: controller.signal }).textStream) {
      assert.equal(part, 'In ')
      controller.abort()
    }
    assert.notEqual((await up.settled()).at(-1).client_closed_ms ?? null, null)
  })

  test('a stream of the model itself ends its call when it is cancelled', async (t) => {
    const up = await upstream(t, [{ then: endless('In ') }])
    const { stream } = await through(up)('up/m').doStream({ prompt: [{ role: 'user', content: [{ type: 'text', text: 'Where?' }] }] })
    const reader = stream.getReader()
    const types = []
    while (types.at(-1) !== 'text-delta') types.push((await reader.read()).value.type)
    assert.deepEqual(types, ['stream-start', 'response-metadata', 'text-start', 'text-delta'])
    await reader.cancel()
    assert.notEqual((await up.settled())[0].client_closed_ms ?? null, null)
  })

  test('a call that is aborted is cancelled', async (t) => {
    const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
    const controller = new AbortController()
    const answer = generateText({ model: through(up)('up/m'), prompt: 'Where?', abortSignal: controller.signal })
    while ((await up.log()).length === 0) await new Promise(setImmediate)
    controller.abort()
    await assert.rejects(answer, CallCancelledError)
    assert.notEqual((await up.settled())[0].client_closed_ms ?? null, null)
  })

  for (const streamed of [false, true]) {
    const run = async (options) => {
      if (!streamed) return generateText(options)
      const result = streamText(options)
      await result.consumeStream()
      return Object.fromEntries(await Promise.all(['text', 'steps', 'reasoningText', 'finishReason'].map(async (name) => [name, await result[name]])))
    }

    test(`a tool loop, ${streamed ? 'streamed' : 'whole'}: results, reasoning and what the vendor wants back`, async (t) => {
      const blocks = [{ type: 'thinking', thinking: 'Look it up.', signature: 'sig' }, { type: 'text', text: 'I look.' }, { type: 'tool_use', id: 'c1', name: 'weather', input: { city: 'Bern' } }]
      const event = (type, more) => ({ event: type, data: JSON.stringify({ type, ...more }) })
      const starts = blocks.flatMap((block, index) => {
        const [empty, news] = block.type === 'thinking' ? [{ ...block, thinking: '', signature: '' }, [{ type: 'thinking_delta', thinking: block.thinking }, { type: 'signature_delta', signature: 'sig' }]]
          : block.type === 'text' ? [{ ...block, text: '' }, [{ type: 'text_delta', text: block.text }]]
          : [{ ...block, input: {} }, [{ type: 'input_json_delta', partial_json: '{"city":' }, { type: 'input_json_delta', partial_json: '"Bern"}' }]]
        return [event('content_block_start', { index, content_block: empty }), ...news.map((delta) => event('content_block_delta', { index, delta })), event('content_block_stop', { index })]
      })
      const message = { id: 'msg', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, usage: { input_tokens: 3, output_tokens: 1 } }
      const sse = [event('message_start', { message }), ...starts, event('message_delta', { delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 9 } }), event('message_stop', {})]
      const last = { ...message, content: [{ type: 'text', text: 'Rain.' }], stop_reason: 'end_turn' }
      const end = [event('message_start', { message }), event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }), event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Rain.' } }), event('content_block_stop', { index: 0 }), event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }), event('message_stop', {})]
      const up = await upstream(t, [{ then: streamed ? [{ sse }, { sse: end }] : [{ json: { ...message, content: blocks, stop_reason: 'tool_use' } }, { json: last }] }])
      const provider = createInterfuse({ config: { providers: { anthropic: { base_url: up.base.replace(/\/v1$/, ''), api_key: 'key' } }, retries: { base_ms: 1, max_ms: 1 } } })
      const asked = []
      const weather = tool({ description: 'Weather of a city', inputSchema: jsonSchema(schema), execute: ({ city }) => asked.push(city) && { sky: 'rain' } })
      const result = await run({ model: provider('anthropic/m'), prompt: 'Weather?', tools: { weather }, maxOutputTokens: 2000, providerOptions: { interfuse: { reasoning_effort: 'low' } }, ...steps })
      assert.deepEqual(asked, ['Bern'])
      assert.equal(result.text, 'Rain.')
      assert.equal(result.steps[0].reasoningText, 'Look it up.')
      assert.equal(result.steps[0].text, 'I look.')
      assert.equal(result.steps[0].finishReason, 'tool-calls')
      const [first, second] = (await up.settled()).map(({ body }) => body)
      assert.equal(first.tools[0].name, 'weather')
      assert.deepEqual(first.tools[0].input_schema.required, ['city'])
      const [, assistant, answered] = second.messages
      assert.deepEqual(assistant.content[0], blocks[0], 'the signed thought goes back as it came')
      assert.deepEqual(assistant.content.at(-1).input, { city: 'Bern' })
      assert.equal(answered.content[0].tool_use_id, 'c1')
      assert.match(JSON.stringify(answered.content[0].content), /rain/)
    })

    test(`structured output, ${streamed ? 'streamed' : 'whole'}`, async (t) => {
      const up = await upstream(t, [{ then: { answer: '{"city":"Bern"}' } }])
      const options = { model: through(up)('up/m'), prompt: 'Where?', output: Output.object({ schema: jsonSchema(schema) }) }
      const output = streamed ? await streamText(options).output : (await generateText(options)).output
      assert.deepEqual(output, { city: 'Bern' })
      const { type, json_schema } = (await up.settled())[0].body.response_format
      assert.deepEqual([type, json_schema.schema, json_schema.strict], ['json_schema', schema, true])
    })

    test(`a fusion with its report, ${streamed ? 'streamed' : 'whole'}`, async (t) => {
      const up = await upstream(t, ['a', 'b', 'c'].map((name) => ({ when: { model: `m-${name}` }, then: { answer: name === 'c' ? 'Zurich.' : 'Bern.' } })))
      const fusion = { mode: 'vote', pool: ['up/m-a', 'up/m-b', 'up/m-c'] }
      const options = { model: through(up)('interfuse/vote'), prompt: 'Where?', providerOptions: { interfuse: { fusion } } }
      const result = streamed ? streamText(options) : await generateText(options)
      assert.equal(await result.text, 'Bern.')
      const { fusion: report } = (await result.providerMetadata).interfuse
      assert.deepEqual([report.mode, report.members.length], ['vote', 3])
    })
  }

  test('reasoning is apart from the text', async (t) => {
    const sse = [delta({ role: 'assistant', reasoning_content: 'Capital' }), delta({ reasoning_content: '?' }), delta({ content: 'In ' }), delta({ content: 'Bern.' }), delta({}, 'length')]
    const up = await upstream(t, [{ then: { sse, done: true } }])
    const result = streamText({ model: through(up)('up/m'), prompt: 'Where?', includeRawChunks: true, include: { rawChunks: true } })
    const types = []
    for await (const part of result.fullStream ?? result.stream) types.push(part.type)
    assert.equal(await result.reasoningText, 'Capital?')
    assert.equal(await result.text, 'In Bern.')
    assert.equal(await result.finishReason, 'length')
    const order = ['reasoning-start', 'reasoning-delta', 'reasoning-delta', 'reasoning-end', 'text-start', 'text-delta', 'text-delta', 'text-end']
    assert.deepEqual(types.filter((type) => /^(reasoning|text)-/.test(type)), order)
    assert.ok(types.includes('raw'))
    assert.deepEqual(await result.response.then(({ id, modelId, timestamp }) => [id, modelId, +timestamp]), ['s', 'm-1', 1_700_000_000_000])
  })

  test('images, documents and sounds', async (t) => {
    const up = await upstream(t, [{ then: { answer: 'ok' } }])
    const content = [
      { type: 'text', text: 'See:' },
      { type: 'file', mediaType: 'image/png', data: new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]) },
      { type: 'file', mediaType: 'image/png', data: new URL('https://example.com/a.png') },
      { type: 'file', mediaType: 'application/pdf', data: Buffer.from('%PDF'), filename: 'a.pdf' },
      { type: 'file', mediaType: 'audio/wav', data: Buffer.from('RIFF') },
      { type: 'file', mediaType: 'text/plain', data: Buffer.from('words') },
    ]
    const model = through(up)('up/m')
    await generateText({ model, messages: [{ role: 'user', content }], providerOptions: { interfuse: { fetch_images: false } } })
    const [{ body }] = await up.settled()
    assert.deepEqual(body.messages[0].content, [
      { type: 'text', text: 'See:' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERg==' } },
      { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
      { type: 'text', text: 'words' },
    ])
    const inside = [{ type: 'file', mediaType: 'image/png', data: new URL('/a.png', up.base) }]
    await assert.rejects(generateText({ model, messages: [{ role: 'user', content: inside }] }), /127\.0\.0\.1/)
    assert.equal((await up.log()).length, 1)
    const film = [{ type: 'file', mediaType: 'video/mp4', data: Buffer.from('film') }]
    await assert.rejects(generateText({ model, messages: [{ role: 'user', content: film }] }), UnsupportedError)
  })

  test('an error is interfuse\'s and the SDK\'s, and is tried no more', async (t) => {
    const up = await upstream(t, [{ then: { status: 429, headers: { 'retry-after': '0' }, json: { error: { message: 'slow down' } } } }])
    const check = (error) => {
      assert.ok(error instanceof RateLimitError)
      assert.ok(APICallError.isInstance(error))
      assert.deepEqual([error.statusCode, error.isRetryable, error.attempts.length], [429, false, 2])
      assert.match(error.message, /slow down/)
      assert.ok(!JSON.stringify(error).includes('requestBodyValues'))
      return true
    }
    const options = { model: through(up)('up/m'), prompt: 'Where?' }
    await assert.rejects(generateText(options), check)
    const errors = []
    await streamText({ ...options, onError: ({ error }) => errors.push(error) }).consumeStream()
    assert.equal(errors.length, 1)
    check(errors[0])
    assert.equal((await up.settled()).length, 4, 'two calls and their retries')
  })

  test('a stream that breaks is told, after what had come', async (t) => {
    const up = await upstream(t, [{ then: { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In '), { reset: true }] } }])
    const errors = []
    const result = streamText({ model: through(up)('up/m'), prompt: 'Where?', onError: ({ error }) => errors.push(error) })
    let all = ''
    for await (const part of result.textStream) all += part
    assert.equal(all, 'In ')
    assert.deepEqual(errors.map(({ kind }) => kind), ['interrupted'])
    assert.equal(await result.finishReason, 'error')
  })

  test('a stream that would begin anew is an error, not two answers in one', async (t) => {
    const broken = { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In Zur'), { reset: true }] }
    const up = await upstream(t, [{ then: [broken, { answer: 'In Bern.' }] }])
    const errors = []
    const result = streamText({ model: through(up)('up/m'), prompt: 'Where?', providerOptions: { interfuse: { on_interrupt: 'restart' } }, onError: ({ error }) => errors.push(error) })
    let all = ''
    for await (const part of result.textStream) all += part
    assert.equal(all, 'In Zur')
    assert.match(errors[0].message, /began anew/)
  })

  test('fields of messages, parts and tools', async (t) => {
    const up = await upstream(t, [{ then: { json: { id: 'msg', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'ok' }], stop_reason: 'end_turn', usage: { input_tokens: 3, output_tokens: 1 } } } }])
    const provider = createInterfuse({ config: { providers: { anthropic: { base_url: up.base.replace(/\/v1$/, ''), api_key: 'key' } } } })
    const providerOptions = { interfuse: { cache_control: { type: 'ephemeral' } } }
    await generateText({
      model: provider('anthropic/m'), maxOutputTokens: 9,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'A long text.', providerOptions }, { type: 'text', text: 'Where?' }] }],
    })
    const [{ body }] = await up.settled()
    assert.deepEqual(body.messages[0].content, [{ type: 'text', text: 'A long text.', cache_control: { type: 'ephemeral' } }, { type: 'text', text: 'Where?' }])
  })

  test('embeddings', async (t) => {
    const data = (from, to) => Array.from({ length: to - from }, (_, index) => ({ object: 'embedding', index, embedding: [from + index] }))
    const list = (from, to) => ({ when: { body_contains: `"n${from}"` }, then: { json: { object: 'list', model: 'e', data: data(from, to), usage: { prompt_tokens: 1, total_tokens: 1 } } } })
    const up = await upstream(t, [list(0, 96), list(96, 100)])
    const values = Array.from({ length: 100 }, (_, n) => `n${n}`)
    const { embeddings, usage } = await embedMany({ model: through(up).embeddingModel('up/e'), values, providerOptions: { interfuse: { dimensions: 1 } } })
    assert.deepEqual(embeddings.map(([n]) => n), values.map((_, n) => n))
    assert.equal(usage.tokens, 2)
    assert.deepEqual((await up.settled()).map(({ body }) => body.dimensions), [1, 1])
  })

  test('by name from a registry', async (t) => {
    const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
    const registry = ai.createProviderRegistry({ interfuse: through(up) })
    assert.equal((await generateText({ model: registry.languageModel('interfuse:up/m'), prompt: 'Where?' })).text, 'In Bern.')
  })
})
