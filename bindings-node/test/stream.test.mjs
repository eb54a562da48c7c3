// Streams: chunks as they come, and every way to leave one.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Interfuse, MisuseError, Stream, StreamInterruptedError } from 'interfuse'

import { chunk, endless, messages, upstream } from './upstream.mjs'

const open = (client, model, options) => client.chat.completions.create({ model, messages, stream: true }, options)
const text = (item) => item.choices[0]?.delta.content ?? ''

test('chunks come one by one and end', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern, of course.' } }])
  const stream = await open(new Interfuse({ config: up.config }), 'up/m')
  assert.ok(stream instanceof Stream)
  let all = ''
  let last
  for await (const item of stream) {
    all += text(item)
    last = item
  }
  assert.equal(all, 'In Bern, of course.')
  assert.equal(last.interfuse.provider, 'up')
  assert.deepEqual(await stream.next(), { value: undefined, done: true })
})

test('a chunk is handed over while the answer is still being written', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const stream = await open(new Interfuse({ config: up.config }), 'up/m')
  // The upstream never sends more, so a buffering client would hang here.
  for await (const item of stream) {
    assert.equal(text(item), 'In ')
    break
  }
  const [entry] = await up.settled()
  assert.notEqual(entry.client_closed_ms ?? null, null, 'leaving the loop closes the socket')
})

test('thousands of chunks arrive whole and in order', async (t) => {
  const words = Array.from({ length: 3000 }, (_, n) => `${n} `)
  const sse = words.map((word) => ({ id: 's', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: word }, finish_reason: null }] }))
  sse.push({ id: 's', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
  const up = await upstream(t, [{ then: { sse, done: true } }])
  const stream = await open(new Interfuse({ config: up.config }), 'up/m')
  const got = []
  for await (const item of stream) if (text(item)) got.push(text(item))
  assert.deepEqual(got, words)
})

test('waiting reads are answered in order', async (t) => {
  const up = await upstream(t, [{ then: { ...endless('a', 'b'), } }])
  const stream = await open(new Interfuse({ config: up.config }), 'up/m')
  const [first, second, third] = [stream.next(), stream.next(), stream.next()]
  assert.equal(text((await first).value), 'a')
  assert.equal(text((await second).value), 'b')
  await stream.return()
  assert.deepEqual(await third, { value: undefined, done: true })
})

test('a signal ends a stream with an AbortError and closes the socket', async (t) => {
  const up = await upstream(t, [{ then: endless('In ', 'Bern') }])
  const controller = new AbortController()
  const stream = await open(new Interfuse({ config: up.config }), 'up/m', { signal: controller.signal })
  let all = ''
  await assert.rejects(async () => {
    for await (const item of stream) {
      all += text(item)
      if (all === 'In Bern') controller.abort()
    }
  }, { name: 'AbortError', kind: 'cancelled' })
  assert.equal(all, 'In Bern')
  const [entry] = await up.settled()
  assert.notEqual(entry.client_closed_ms ?? null, null)
})

test('abort() and controller end a stream quietly', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const client = new Interfuse({ config: up.config })
  for (const leave of [(stream) => stream.abort(), (stream) => stream.controller.abort()]) {
    const stream = await open(client, 'up/m')
    let count = 0
    for await (const _ of stream) {
      count += 1
      leave(stream)
    }
    assert.equal(count, 1)
  }
  assert.ok((await up.settled()).every((entry) => entry.client_closed_ms != null))
})

test('a stream that breaks is an error with what had come', async (t) => {
  const up = await upstream(t, [{ then: { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In '), chunk('Bern'), { reset: true }] } }])
  const stream = await open(new Interfuse({ config: up.config }), 'up/m')
  let all = ''
  await assert.rejects(async () => {
    for await (const item of stream) all += text(item)
  }, (error) => {
    assert.ok(error instanceof StreamInterruptedError)
    assert.equal(error.partial.text, all)
    return true
  })
  assert.deepEqual(await stream.next(), { value: undefined, done: true })
})

test('an error before the first chunk rejects the call itself', async (t) => {
  const up = await upstream(t, [{ then: { status: 401, json: { error: { message: 'bad key' } } } }])
  await assert.rejects(open(new Interfuse({ config: up.config }), 'up/m'), { kind: 'authentication', status: 401 })
})

test('a stream is read once', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'ok' } }])
  const stream = await open(new Interfuse({ config: up.config }), 'up/m')
  for await (const _ of stream);
  assert.throws(() => stream[Symbol.asyncIterator](), MisuseError)
})

test('a forgotten stream is collected and its socket closed', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const client = new Interfuse({ config: up.config })
  await (async () => { await open(client, 'up/m') })()
  for (;;) {
    globalThis.gc()
    await new Promise(setImmediate)
    const [entry] = await up.log()
    if (entry.client_closed_ms != null) break
  }
})

test('a stream as lines of JSON for a web response', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
  const stream = await open(new Interfuse({ config: up.config }), 'up/m')
  const body = await new Response(stream.toReadableStream()).text()
  assert.equal(body.trim().split('\n').map((line) => text(JSON.parse(line))).join(''), 'In Bern.')
})
