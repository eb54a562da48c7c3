// Streams as events, put together to the whole answer, and every way to follow and to leave one.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { AnswerFormatError, ChatCompletionStream, Interfuse, LengthFinishReasonError, MisuseError, SchemaError, Stream, standardFunction } from 'interfuse'
import { z } from 'zod'

import { chunk, endless, messages, upstream } from './upstream.mjs'

const Place = z.object({ city: z.string() })
const TEXT = '{"city": "Bern"}'
const request = { model: 'up/m', messages }

/** A stream of these chunks' choices. */
const chunks = (...choices) => ({
  sse: choices.map((one) => ({ id: 's', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [one].flat() })), done: true,
})
const part = (delta, finish_reason = null, more = {}) => ({ index: 0, delta, finish_reason, ...more })

test('events, and the whole answer read at the end', async (t) => {
  const up = await upstream(t, [{ then: { answer: TEXT, usage: { prompt_tokens: 7, completion_tokens: 3 } } }])
  const client = new Interfuse({ config: up.config })
  const stream = client.chat.completions.stream({ ...request, response_format: Place, stream_options: { include_usage: true } })
  assert.ok(stream instanceof ChatCompletionStream)
  const heard = []
  let all = ''
  let done
  for (const name of ['connect', 'chunk', 'content.done', 'message', 'finalContent', 'finalMessage', 'finalChatCompletion', 'end']) {
    stream.on(name, () => heard.push(name))
  }
  stream.on('content', (delta, snapshot) => {
    all += delta
    assert.equal(snapshot, all)
  })
  stream.once('content.done', (told) => { done = told })
  const completion = await stream.finalChatCompletion()
  assert.equal(all, TEXT)
  assert.deepEqual(done, { content: TEXT, parsed: { city: 'Bern' } })
  assert.deepEqual(completion.choices[0].message.parsed, { city: 'Bern' })
  assert.deepEqual([completion.object, completion.choices[0].finish_reason, completion.interfuse.provider], ['chat.completion', 'stop', 'up'])
  assert.deepEqual([heard[0], heard.filter((name) => name !== 'chunk').slice(1)], [
    'connect', ['content.done', 'message', 'finalContent', 'finalMessage', 'finalChatCompletion', 'end'],
  ])
  assert.equal(await stream.finalContent(), TEXT)
  assert.equal((await stream.totalUsage()).completion_tokens, 3)
  assert.equal(stream.ended, true)
  assert.equal((await up.settled())[0].body.response_format.json_schema.strict, true)
})

test('a loop gets the chunks, and the answer can be had after it', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern, of course.' } }])
  const stream = new Interfuse({ config: up.config }).chat.completions.stream(request)
  let [looped, heard] = ['', '']
  stream.on('content', (delta) => { heard += delta })
  for await (const item of stream) looped += item.choices[0]?.delta.content ?? ''
  assert.deepEqual([looped, heard, await stream.finalContent()], Array(3).fill('In Bern, of course.'))
  assert.equal((await stream.finalMessage()).parsed, null)
  assert.throws(() => stream[Symbol.asyncIterator](), MisuseError)
  const lines = new Interfuse({ config: up.config }).chat.completions.stream(request).toReadableStream()
  let read = ''
  for await (const item of Stream.fromReadableStream(lines)) read += item.choices[0]?.delta.content ?? ''
  assert.equal(read, 'In Bern, of course.')
})

test('calls of tools are told as their arguments come, and read', async (t) => {
  const called = (index, name, text) => part({ tool_calls: [{ index, id: name && `c${index}`, type: 'function', function: { name, arguments: text } }] })
  const up = await upstream(t, [{ then: chunks(called(0, 'Place', '{"city":'), called(0, undefined, ' "Bern"}'), called(1, 'other', '{}'), part({}, 'tool_calls')) }])
  const tools = [standardFunction({ name: 'Place', parameters: Place }), { type: 'function', function: { name: 'other' } }]
  const stream = new Interfuse({ config: up.config }).chat.completions.stream({ ...request, tools })
  const [deltas, done] = [[], []]
  stream.on('tool_calls.function.arguments.delta', ({ name, index, arguments_delta }) => deltas.push([name, index, arguments_delta]))
  stream.on('tool_calls.function.arguments.done', ({ name, index, parsed_arguments }) => done.push([name, index, parsed_arguments]))
  const { tool_calls } = await stream.finalMessage()
  assert.deepEqual(deltas, [['Place', 0, '{"city":'], ['Place', 0, ' "Bern"}'], ['other', 1, '{}']])
  assert.deepEqual(done, [['Place', 0, { city: 'Bern' }], ['other', 1, null]])
  assert.deepEqual(tool_calls.map(({ function: { parsed_arguments } }) => parsed_arguments), [{ city: 'Bern' }, null])
  assert.ok(tool_calls.every((call) => !('index' in call)), 'so that it can be put back')
})

test('refusals, log probabilities and several choices', async (t) => {
  const token = (text) => ({ token: text, logprob: -0.5, bytes: null, top_logprobs: [] })
  const up = await upstream(t, [{
    then: chunks(
      part({ role: 'assistant', content: 'In' }, null, { logprobs: { content: [token('In')] } }),
      [{ index: 1, delta: { refusal: 'No' }, finish_reason: null }, part({ content: ' Bern' }, 'stop', { logprobs: { content: [token(' Bern')] } })],
      { index: 1, delta: { refusal: '.' }, finish_reason: 'stop' },
    ),
  }])
  const stream = new Interfuse({ config: up.config }).chat.completions.stream({ ...request, n: 2, logprobs: true })
  const told = []
  for (const name of ['refusal.delta', 'refusal.done', 'logprobs.content.delta', 'logprobs.content.done']) stream.on(name, (event) => told.push([name, event]))
  const { choices } = await stream.finalChatCompletion()
  assert.deepEqual(choices.map(({ index, message }) => [index, message.content, message.refusal]), [[0, 'In Bern', undefined], [1, null, 'No.']])
  assert.deepEqual(told.filter(([name]) => name === 'refusal.done').map(([, { refusal }]) => refusal), ['No.'])
  assert.deepEqual(told.filter(([name]) => name === 'logprobs.content.delta').map(([, { snapshot }]) => snapshot.length), [1, 2])
  assert.deepEqual(told.find(([name]) => name === 'logprobs.content.done')[1].content.map((one) => one.token), ['In', ' Bern'])
})

test('an answer that does not fit is not asked for again', async (t) => {
  const cut = chunks(part({ content: '{"ci' }, 'length'))
  const up = await upstream(t, [{ when: { model: 'cut' }, then: cut }, { then: { answer: 'In Bern.' } }])
  const { stream } = new Interfuse({ config: up.config }).chat.completions
  await assert.rejects(stream({ ...request, response_format: Place }).done(), (error) => {
    assert.ok(error instanceof AnswerFormatError)
    assert.equal(error.completion.choices[0].message.content, 'In Bern.')
    return true
  })
  await assert.rejects(stream({ ...request, model: 'up/cut', response_format: Place }).finalMessage(), LengthFinishReasonError)
  assert.equal(await stream({ ...request, model: 'up/cut' }).finalContent(), '{"ci', 'what nothing reads may be cut off')
  assert.throws(() => stream({ ...request, response_format: z.array(z.string()) }), SchemaError)
  assert.equal((await up.settled()).length, 3)
})

test('a stream that is left or aborted closes its socket', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const client = new Interfuse({ config: up.config })
  const open = (options) => client.chat.completions.stream(request, options)
  const left = open()
  for await (const _ of left) {
    assert.equal(left.currentChatCompletionSnapshot.choices[0].message.content, 'In ')
    break
  }
  assert.deepEqual([left.ended, left.aborted], [true, true])

  const controller = new AbortController()
  for (const [options, leave] of [[{}, (stream) => stream.abort()], [{ signal: controller.signal }, () => controller.abort()]]) {
    const stream = open(options)
    const heard = []
    stream.on('abort', ({ name }) => heard.push(name)).on('end', () => heard.push('end')).on('content', () => leave(stream))
    await assert.rejects(stream.done(), { name: 'AbortError', kind: 'cancelled' })
    assert.deepEqual(heard, ['AbortError', 'end'])
  }
  const disposed = open()
  await disposed.emitted('content')
  await disposed[Symbol.asyncDispose]()
  assert.ok((await up.settled()).every(({ client_closed_ms }) => client_closed_ms != null))
})

test('a failure is told once to whoever wants to know', async (t) => {
  const broken = { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In '), { reset: true }] }
  const up = await upstream(t, [{ when: { model: 'bad' }, then: { status: 400, json: {} } }, { then: broken }])
  const { stream } = new Interfuse({ config: up.config }).chat.completions
  const failing = stream(request)
  const error = await new Promise((resolve) => failing.on('error', resolve))
  assert.equal(error.kind, 'interrupted')
  await assert.rejects(failing.finalContent(), error)
  await assert.rejects(stream({ ...request, model: 'up/bad' }).emitted('content'), { kind: 'invalid_request' })
  const looped = stream({ ...request, model: 'up/bad' })
  await assert.rejects(async () => {
    for await (const _ of looped);
  }, { kind: 'invalid_request' })
  const said = stream(request)
  said.on('content', () => { throw new RangeError('of a listener') })
  await assert.rejects(said.done(), RangeError)
  // Where nobody does, it is a rejection that nobody handles.
  const script = `
    process.once('unhandledRejection', (error) => console.log(error.kind))
    const client = new (require('interfuse').Interfuse)({ config: ${JSON.stringify(up.config)} })
    client.chat.completions.stream({ model: 'up/bad', messages: [] }).on('content', () => undefined)`
  const told = execFileSync(process.execPath, ['-e', script], { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' })
  assert.equal(told.trim(), 'invalid_request')
})

test('an event that does not come is told at the end', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
  const { stream } = new Interfuse({ config: up.config }).chat.completions
  await assert.rejects(stream(request).emitted('refusal.done'), MisuseError)
  assert.equal(await stream(request).emitted('finalContent'), 'In Bern.')
  await stream(request).emitted('end')
})
