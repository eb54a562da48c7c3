// Streams in other forms: lines of JSON and back, server-sent events, two readers of one, and how each is left.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Interfuse, Stream } from 'interfuse'
import { Stream as OpenAIStream } from 'openai/streaming'

import { chunk, endless, messages, upstream } from './upstream.mjs'

const open = (client, model, options) => client.chat.completions.create({ model, messages, stream: true }, options)
const text = (item) => item.choices[0]?.delta.content ?? ''
const all = async (stream) => {
  const items = []
  for await (const item of stream) items.push(item)
  return items
}
const left = (log) => log.map((entry) => entry.client_closed_ms != null)

test('lines of JSON come back as the same items, here and in the vendor\'s client', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern, of course: déjà vu.' } }])
  const client = new Interfuse({ config: up.config })
  const direct = (await all(await open(client, 'up/m'))).map(text).join('')
  const ours = await all(Stream.fromReadableStream((await open(client, 'up/m')).toReadableStream()))
  const theirs = await all(OpenAIStream.fromReadableStream((await open(client, 'up/m')).toReadableStream(), new AbortController()))
  const back = await all(Stream.fromReadableStream(OpenAIStream.fromReadableStream((await open(client, 'up/m')).toReadableStream(), new AbortController()).toReadableStream()))
  for (const items of [ours, theirs, back]) {
    assert.equal(items.map(text).join(''), direct)
    assert.equal(items.at(-1).interfuse.provider, 'up')
  }
})

test('lines are put together however they were cut', async () => {
  const bytes = new TextEncoder().encode('{"a":"é"}\n\n{"a":2}\r\n{"a":3}')
  const body = new ReadableStream({ start(to) { for (const byte of bytes) to.enqueue(new Uint8Array([byte])); to.close() } })
  assert.deepEqual(await all(Stream.fromReadableStream(body)), [{ a: 'é' }, { a: 2 }, { a: 3 }])
  const broken = Stream.fromReadableStream(new Response('{"a":1}\n{"a"\n').body)
  await assert.rejects(all(broken), SyntaxError)
  assert.deepEqual(await broken.next(), { value: undefined, done: true })
})

test('leaving lines of JSON closes the vendor\'s connection', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const client = new Interfuse({ config: up.config })
  for (const leave of [(far) => far.return(), (far) => far.abort(), (_, controller) => controller.abort()]) {
    const controller = new AbortController()
    const far = Stream.fromReadableStream((await open(client, 'up/m')).toReadableStream(), controller)
    assert.equal(text((await far.next()).value), 'In ')
    const waiting = far.next()
    await leave(far, controller)
    assert.deepEqual(await waiting, { value: undefined, done: true })
  }
  const aborted = new AbortController()
  aborted.abort()
  assert.deepEqual(await all(Stream.fromReadableStream(new Response('{"a":1}').body, aborted)), [])
  assert.deepEqual(left(await up.settled()), [true, true, true])
})

test('a response of events is what the vendor\'s client reads', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
  const response = (await open(new Interfuse({ config: up.config }), 'up/m')).toResponse({ status: 201, headers: { 'x-mine': '1', 'cache-control': 'no-store' } })
  assert.equal(response.status, 201)
  assert.match(response.headers.get('content-type'), /^text\/event-stream/)
  assert.deepEqual([response.headers.get('x-mine'), response.headers.get('cache-control')], ['1', 'no-store'])
  const body = await response.clone().text()
  assert.ok(body.endsWith('data: [DONE]\n\n'))
  const items = await all(OpenAIStream.fromSSEResponse(response, new AbortController()))
  assert.equal(items.map(text).join(''), 'In Bern.')
})

test('a response whose body is cancelled ends the call', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const reader = (await open(new Interfuse({ config: up.config }), 'up/m')).toResponse().body.getReader()
  // The upstream never sends more, so a buffering response would hang here.
  assert.match(new TextDecoder().decode((await reader.read()).value), /In /)
  await reader.cancel()
  assert.deepEqual(left(await up.settled()), [true])
})

test('a failure is the last event of a response, and breaks lines of JSON', async (t) => {
  const up = await upstream(t, [{ then: { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In '), { reset: true }] } }])
  const client = new Interfuse({ config: up.config })
  const events = (await (await open(client, 'up/m')).toResponse().text()).trim().split('\n\n')
  const { error } = JSON.parse(events.at(-1).slice('data: '.length))
  assert.equal(error.type, 'interrupted')
  assert.match(error.message, /broke off/)
  await assert.rejects(all(Stream.fromReadableStream((await open(client, 'up/m')).toReadableStream())), { kind: 'interrupted' })
})

test('two read one stream at their own speed', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern, of course.' } }])
  const [quick, slow] = (await open(new Interfuse({ config: up.config }), 'up/m')).tee()
  const first = await all(quick)
  assert.equal(first.map(text).join(''), 'In Bern, of course.')
  assert.deepEqual(await all(slow), first)
})

test('a stream of two readers ends when both have left', async (t) => {
  const up = await upstream(t, [{ then: endless('In ', 'Bern') }])
  const [one, two] = (await open(new Interfuse({ config: up.config }), 'up/m')).tee()
  assert.deepEqual([text((await one.next()).value), text((await one.next()).value)], ['In ', 'Bern'])
  const early = one.next()
  one.abort()
  assert.deepEqual(await early, { value: undefined, done: true })
  const read = [await two.next(), await two.next()].map(({ value }) => text(value))
  assert.deepEqual(read, ['In ', 'Bern'])
  assert.equal((await up.log())[0].client_closed_ms ?? null, null)
  const waiting = two.next()
  two.abort()
  assert.deepEqual(await waiting, { value: undefined, done: true })
  assert.deepEqual(left(await up.settled()), [true])
})

test('both readers are told of a failure, and one that nobody reads harms none', async (t) => {
  const up = await upstream(t, [{ then: { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In '), { reset: true }] } }])
  const client = new Interfuse({ config: up.config })
  const [one, two] = (await open(client, 'up/m')).tee()
  await assert.rejects(all(one), { kind: 'interrupted' })
  await assert.rejects(all(two), { kind: 'interrupted' })
  const [read] = (await open(client, 'up/m')).tee()
  await assert.rejects(all(read), { kind: 'interrupted' })
})

test('a stream that was not read yet ends with the block that uses it, and with its signal', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const client = new Interfuse({ config: up.config })
  const kept = []
  for (const end of [Symbol.dispose, Symbol.asyncDispose]) {
    kept.push(await open(client, 'up/m'))
    await kept.at(-1)[end]()
  }
  const controller = new AbortController()
  const signalled = await open(client, 'up/m', { signal: controller.signal })
  controller.abort()
  // Nobody asks them for more, and nobody has let go of them.
  assert.deepEqual(left(await up.settled()), [true, true, true])
  for (const stream of kept) assert.deepEqual(await stream.next(), { value: undefined, done: true })
  await assert.rejects(signalled.next(), { name: 'AbortError', kind: 'cancelled' })
})
