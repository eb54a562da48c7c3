// Spans and metrics, as OpenTelemetry's own SDK gets them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import * as conventions from '@opentelemetry/semantic-conventions/incubating'
import { Interfuse, standardFunction } from 'interfuse'
import { instrument } from 'interfuse/otel'
import { z } from 'zod'

import { chunk, endless, messages, upstream } from './upstream.mjs'

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())

const USAGE = { prompt_tokens: 7, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 5 }, completion_tokens_details: { reasoning_tokens: 2 } }
const NAMES = new Set(Object.values(conventions))
const request = { model: 'up/m', messages }

/** A client whose spans are kept: `spans()` gives those that have ended, the first first. */
async function traced(t, routes, config = {}) {
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const up = await upstream(t, routes)
  const client = new Interfuse({ config: { ...up.config, prices: { 'up/m': { input: '1', output: '2' } }, ...config } })
  assert.equal(instrument(client, { tracerProvider }), client)
  const spans = () => exporter.getFinishedSpans().sort((one, other) => one.startTime[0] - other.startTime[0] || one.startTime[1] - other.startTime[1])
  t.after(() => {
    const text = JSON.stringify(spans().map(({ name, attributes, events }) => ({ name, attributes, events })))
    assert.ok(!/Where|Bern/.test(text), 'neither prompts nor answers are recorded')
    for (const { attributes } of spans().flatMap((span) => [span, ...span.events])) {
      for (const name of Object.keys(attributes)) assert.ok(NAMES.has(name) || name.startsWith('interfuse.'), `${name} is a name of the conventions`)
    }
  })
  return { up, client, spans, tracer: tracerProvider.getTracer('test') }
}

test('a call is a span in the active context', async (t) => {
  const { client, spans, tracer } = await traced(t, [{ then: { answer: 'In Bern.', usage: USAGE } }])
  const parent = tracer.startSpan('page')
  const body = { ...request, temperature: 0.5, max_completion_tokens: 9, stop: 'x', n: 1, seed: 4, response_format: { type: 'json_object' }, session_id: 's1' }
  const answer = await context.with(trace.setSpan(context.active(), parent), () => client.chat.completions.create(body))
  const [span, ...others] = spans()
  assert.equal(others.length, 0)
  assert.deepEqual([span.name, span.kind, span.status.code], ['chat up/m', SpanKind.CLIENT, SpanStatusCode.UNSET])
  assert.equal(span.parentSpanContext.spanId, parent.spanContext().spanId)
  assert.equal(span.instrumentationScope.name, 'interfuse')
  assert.deepEqual(span.attributes, {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'up',
    'gen_ai.request.model': 'up/m',
    'gen_ai.request.temperature': 0.5,
    'gen_ai.request.max_tokens': 9,
    'gen_ai.request.stop_sequences': ['x'],
    'gen_ai.request.seed': 4,
    'gen_ai.output.type': 'json',
    'gen_ai.conversation.id': 's1',
    'gen_ai.response.id': answer.id,
    'gen_ai.response.model': 'm',
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.usage.input_tokens': 7,
    'gen_ai.usage.output_tokens': 3,
    'gen_ai.usage.cache_read.input_tokens': 5,
    'gen_ai.usage.reasoning.output_tokens': 2,
    'interfuse.cost_usd': answer.interfuse.cost_nanos / 1e9,
    ...(answer.interfuse.request_id && { 'interfuse.request_id': answer.interfuse.request_id }),
  })
  assert.deepEqual(span.events.map(({ name, attributes }) => [name, attributes['interfuse.attempt.number']]), [['interfuse.attempt', 1]])
})

test('attempts are events, and a provider has the name of the conventions', async (t) => {
  const { up } = await traced(t, [])
  const providers = { mistral: { base_url: up.base, api_key: 'k' } }
  const { client, spans } = await traced(t, [{ then: [{ status: 503 }, { answer: 'In Bern.' }] }])
  await client.chat.completions.create(request)
  const told = ['gen_ai.provider.name', 'gen_ai.request.model', 'error.type', 'http.response.status_code', 'interfuse.attempt.number', 'interfuse.attempt.kind']
  assert.deepEqual(spans()[0].events.map(({ attributes }) => told.map((name) => attributes[name])), [
    ['up', 'm', 'overloaded', 503, 1, undefined],
    ['up', 'm', undefined, undefined, 2, 'retry'],
  ])
  assert.ok(spans()[0].events.every(({ name, attributes }) => name === 'interfuse.attempt' && attributes['interfuse.attempt.ms'] >= 0))
  const other = await traced(t, [], { providers })
  await assert.rejects(other.client.chat.completions.create({ ...request, model: 'mistral/m', max_retries: 0 }))
  assert.equal(other.spans()[0].attributes['gen_ai.provider.name'], 'mistral_ai')
})

test('a failure is told by its kind', async (t) => {
  const { client, spans } = await traced(t, [{ then: { status: 429, json: { error: { message: 'slow down' } } } }])
  await assert.rejects(client.chat.completions.create(request, { maxRetries: 0 }))
  await assert.rejects(client.chat.completions.create(request, { signal: AbortSignal.abort() }))
  await assert.rejects(client.chat.completions.create({ ...request, stream: true }, { signal: AbortSignal.abort() }))
  const [failed, ...aborted] = spans()
  assert.equal(failed.attributes['error.type'], 'rate_limited')
  assert.equal(failed.attributes['gen_ai.provider.name'], 'up')
  assert.equal(failed.status.code, SpanStatusCode.ERROR)
  assert.equal(failed.events.length, 1)
  assert.deepEqual(aborted.map(({ attributes }) => attributes['error.type']), ['cancelled', 'cancelled'])
})

test('the span of a stream ends with it', async (t) => {
  const { up, client, spans } = await traced(t, [{ then: { answer: 'In Bern.', usage: USAGE } }])
  const stream = await client.chat.completions.create({ ...request, stream: true })
  const chunks = [(await stream.next()).value]
  assert.equal(spans().length, 0)
  for await (const item of stream) chunks.push(item)
  const plain = []
  for await (const item of await new Interfuse({ config: up.config }).chat.completions.create({ ...request, stream: true })) plain.push(item)
  const form = (items) => items.map(({ id: _, interfuse, ...item }) => ({ ...item, interfuse: interfuse?.provider }))
  assert.deepEqual(form(chunks), form(plain), 'who reads sees nothing of it')
  const [{ attributes }] = spans()
  assert.equal(attributes['gen_ai.request.stream'], true)
  assert.deepEqual(attributes['gen_ai.response.finish_reasons'], ['stop'])
  assert.deepEqual([attributes['gen_ai.usage.output_tokens'], attributes['gen_ai.response.model'], attributes['gen_ai.provider.name']], [3, 'm', 'up'])
  assert.equal(typeof attributes['gen_ai.response.time_to_first_chunk'], 'number')
  assert.equal(typeof attributes['interfuse.cost_usd'], 'number')
  assert.equal('interfuse.left' in attributes, false)
})

test('a stream that is left, aborted, broken or forgotten ends its span, too', async (t) => {
  const broken = { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In '), { reset: true }] }
  const { client, spans } = await traced(t, [{ when: { model: 'broken' }, then: broken }, { then: endless('In ', 'Bern') }])
  const open = (options, model = 'up/m') => client.chat.completions.create({ ...request, model, stream: true }, options)
  for await (const _ of await open()) break
  ;(await open()).abort()
  const controller = new AbortController()
  const aborted = await open({ signal: controller.signal })
  controller.abort()
  assert.equal(spans().length, 3, 'an abort ends the span, whether the stream is read or not')
  await assert.rejects(aborted.next())
  await assert.rejects(async () => {
    for await (const _ of await open({}, 'up/broken'));
  })
  const known = ({ attributes }) => [attributes['interfuse.left'], attributes['error.type']]
  assert.deepEqual(spans().map(known), [[true, undefined], [true, undefined], [undefined, 'cancelled'], [undefined, 'interrupted']])
  await (async () => { await open() })()
  while (spans().length < 5) {
    globalThis.gc()
    await new Promise(setImmediate)
  }
  assert.deepEqual(known(spans()[4]), [true, undefined])
})

test('embeddings', async (t) => {
  const json = { object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding: [1, 2] }], usage: { prompt_tokens: 4, total_tokens: 4 } }
  const { client, spans } = await traced(t, [{ then: { json } }])
  await client.embeddings.create({ model: 'up/m', input: 'Where?', dimensions: 2, encoding_format: 'float' })
  const [{ name, attributes }] = spans()
  assert.equal(name, 'embeddings up/m')
  assert.deepEqual(
    ['gen_ai.operation.name', 'gen_ai.embeddings.dimension.count', 'gen_ai.request.encoding_formats', 'gen_ai.usage.input_tokens'].map((key) => attributes[key]),
    ['embeddings', 2, ['float'], 4],
  )
})

test('the calls of a fusion are spans below it, in their own time', async (t) => {
  const routes = [
    { when: { model: 'bad' }, then: { status: 400, json: { error: { message: 'no' } } } },
    { when: { model: 'n' }, then: { answer: 'Thun', usage: { prompt_tokens: 7, completion_tokens: 1 } } },
    { then: { answer: 'Bern', usage: { prompt_tokens: 7, completion_tokens: 1 } } },
  ]
  const pool = ['up/m', 'up/n', 'up/bad']
  const { client, spans } = await traced(t, routes, { pools: { default: { pool, judge: 'up/judge', grace_ms: 60_000 } } })
  const fusion = { pool, judge: 'up/judge', mode: 'best_of', grace_ms: 60_000 }
  const asked = [
    () => client.fuse('Where?', fusion),
    async () => {
      for await (const _ of await client.fuse('Where?', { ...fusion, stream: true }));
    },
    () => client.chat.completions.create({ model: 'interfuse/best-of', messages }),
  ]
  for (const [at, ask] of asked.entries()) {
    const before = new Set(spans())
    await ask()
    const made = spans().filter((span) => !before.has(span))
    const root = made.find(({ parentSpanContext }) => !parentSpanContext)
    const below = made.filter((span) => span !== root)
    assert.equal(root.name, at < 2 ? 'invoke_workflow fuse' : 'chat interfuse/best-of')
    assert.equal(root.kind, at < 2 ? SpanKind.INTERNAL : SpanKind.CLIENT)
    assert.equal(root.attributes['interfuse.fusion.mode'], 'best_of')
    assert.match(root.attributes['interfuse.fusion.run_id'], /./)
    assert.ok(root.attributes['gen_ai.usage.output_tokens'] > 2)
    const [members, judges] = [true, false].map((is) => below.filter(({ attributes }) => (attributes['interfuse.fusion.role'] === 'member') === is))
    assert.deepEqual(members.map(({ name }) => name).sort(), ['chat up/bad', 'chat up/m', 'chat up/n'])
    assert.ok(judges.length && judges.every(({ name }) => name === 'chat up/judge'))
    for (const { name, attributes, parentSpanContext, status } of below) {
      assert.equal(parentSpanContext.spanId, root.spanContext().spanId)
      assert.equal(attributes['error.type'], name === 'chat up/bad' ? 'invalid_request' : undefined)
      assert.equal(status.code, name === 'chat up/bad' ? SpanStatusCode.ERROR : SpanStatusCode.UNSET)
      assert.equal('gen_ai.usage.output_tokens' in attributes, false, 'a sum over spans counts tokens once')
    }
  }
})

test('each answer of parse and each step of runTools is a span of its own', async (t) => {
  const tool_calls = [{ name: 'rain', arguments: {} }]
  const { client, spans, tracer } = await traced(t, [
    { when: { model: 'tools' }, then: [{ answer: '', tool_calls }, { answer: 'yes' }] }, { then: [{ answer: 'no' }, { answer: '{"rain": true}' }] },
  ])
  const parent = tracer.startSpan('page')
  const inside = trace.setSpan(context.active(), parent)
  let active
  const rain = standardFunction({ name: 'rain', parameters: z.object({}), function: () => { active = trace.getActiveSpan() } })
  await context.with(inside, () => client.chat.completions.parse({ ...request, response_format: z.object({ rain: z.boolean() }) }))
  await context.with(inside, () => client.runTools({ model: 'up/tools', messages, tools: [rain] }))
  assert.equal(active, parent, 'functions run in the context of the call')
  assert.deepEqual(spans().map(({ name }) => name), ['chat up/m', 'chat up/m', 'chat up/tools', 'chat up/tools'])
  assert.ok(spans().every(({ parentSpanContext }) => parentSpanContext.spanId === parent.spanContext().spanId))
})

test('durations and tokens are counted', async (t) => {
  const up = await upstream(t, [{ when: { model: 'bad' }, then: { status: 400, json: {} } }, { then: { answer: 'ok', usage: USAGE } }])
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
  t.after(() => meterProvider.shutdown())
  const client = instrument(new Interfuse({ config: up.config }), { meterProvider })
  await client.chat.completions.create(request)
  await assert.rejects(client.chat.completions.create({ ...request, model: 'up/bad' }))
  await meterProvider.forceFlush()
  const found = Object.fromEntries(exporter.getMetrics().at(-1).scopeMetrics[0].metrics.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints]))
  assert.deepEqual(Object.keys(found).sort(), ['gen_ai.client.operation.duration', 'gen_ai.client.token.usage'])
  assert.ok(Object.keys(found).every((name) => NAMES.has(name)))
  const chat = { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'up' }
  assert.deepEqual(found['gen_ai.client.operation.duration'].map(({ attributes, value }) => [attributes, value.count]), [
    [{ ...chat, 'gen_ai.request.model': 'up/m', 'gen_ai.response.model': 'm' }, 1],
    [{ ...chat, 'gen_ai.request.model': 'up/bad', 'error.type': 'invalid_request' }, 1],
  ])
  assert.deepEqual(found['gen_ai.client.token.usage'].map(({ attributes, value }) => [attributes['gen_ai.token.type'], value.sum]), [['input', 7], ['output', 3]])
})

test('without a provider nothing happens, and unasked the API is not loaded', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'ok' } }])
  const client = instrument(new Interfuse({ config: up.config }))
  assert.equal((await client.chat.completions.create(request)).choices[0].message.content, 'ok')
  const script = `
    for (const entry of ['interfuse', 'interfuse/ai', 'interfuse/serve', 'interfuse/testing']) require(entry)
    console.log(Object.keys(require.cache).filter((name) => name.includes('opentelemetry')).length)`
  const told = execFileSync(process.execPath, ['-e', script], { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' })
  assert.equal(told.trim(), '0')
})
