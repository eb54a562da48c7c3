// Chat: answers, options, the ledger, cancellation.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CallCancelledError, Interfuse, MisuseError } from 'interfuse'

import { messages, upstream } from './upstream.mjs'

test('an answer has the shape of OpenAI and what interfuse adds', async (t) => {
  const up = await upstream(t, [{ when: { model: 'm' }, then: { answer: 'In Bern.', usage: { prompt_tokens: 7, completion_tokens: 3 } } }])
  const client = new Interfuse({ config: up.config })
  const answer = await client.chat.completions.create({ model: 'up/m', messages })
  assert.equal(answer.choices[0].message.content, 'In Bern.')
  assert.equal(answer.usage.prompt_tokens, 7)
  assert.equal(answer.interfuse.provider, 'up')
  assert.equal(answer.interfuse.attempts.length, 1)
})

test('the options of client and call reach the request, the nearer one wins', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'ok' } }])
  const client = new Interfuse({
    baseURL: up.base, apiKey: 'own-key', defaultHeaders: { 'x-a': 'client', 'x-b': 'client' }, tags: { project: 'search' }, maxRetries: 0,
  })
  const body = Object.freeze({ model: 'org/m', messages, top_k: 5 })
  await client.chat.completions.create(body, { headers: { 'x-b': 'call' } })
  const [entry] = await up.settled()
  assert.equal(entry.headers['x-a'], 'client')
  assert.equal(entry.headers['x-b'], 'call')
  assert.equal(entry.headers.authorization, 'Bearer own-key')
  assert.equal(entry.body.model, 'org/m')
  assert.equal(entry.body.top_k, 5, 'unknown fields pass through')
  assert.equal(entry.body.tags, undefined)

  const { rows } = await client.usage({ by: 'project' })
  assert.deepEqual(rows.map((row) => [row.group.project, row.attempts]), [['search', 1]])
})

test('many calls at once', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'ok' } }])
  const client = new Interfuse({ config: up.config })
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => client.chat.completions.create({ model: 'up/m', messages })),
  )
  assert.ok(answers.every((answer) => answer.choices[0].message.content === 'ok'))
  const { total } = await client.usage()
  assert.equal(total.attempts, 50)
})

test('an abort closes the socket and rejects as fetch does', async (t) => {
  const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
  const client = new Interfuse({ config: up.config })
  const controller = new AbortController()
  const answer = client.chat.completions.create({ model: 'up/m', messages }, { signal: controller.signal })
  while ((await up.log()).length === 0) await new Promise(setImmediate)
  const reason = new Error('the user left')
  controller.abort(reason)
  await assert.rejects(answer, (error) => {
    assert.ok(error instanceof CallCancelledError)
    assert.equal(error.name, 'AbortError')
    assert.equal(error.code, 'ABORT_ERR')
    assert.equal(error.kind, 'cancelled')
    assert.equal(error.cause, reason)
    return true
  })
  const [entry] = await up.settled()
  assert.notEqual(entry.client_closed_ms ?? null, null)
})

test('an aborted signal sends nothing', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'never' } }])
  const client = new Interfuse({ config: up.config })
  const signal = AbortSignal.abort()
  for (const stream of [false, true]) {
    await assert.rejects(client.chat.completions.create({ model: 'up/m', messages, stream }, { signal }), { name: 'AbortError' })
  }
  await assert.rejects(client.fuse('Where?', { pool: ['up/m'] }, { signal }), { name: 'AbortError' })
  assert.deepEqual(await up.log(), [])
})

test('a long-lived signal keeps no listener', async (t) => {
  const up = await upstream(t, [{ when: { model: 'bad' }, then: { status: 400, json: {} } }, { then: { answer: 'ok' } }])
  const client = new Interfuse({ config: up.config })
  const { signal } = new AbortController()
  let listeners = 0
  t.mock.method(signal, 'addEventListener', () => { listeners += 1 })
  t.mock.method(signal, 'removeEventListener', () => { listeners -= 1 })
  await client.chat.completions.create({ model: 'up/m', messages }, { signal })
  await assert.rejects(client.chat.completions.create({ model: 'up/bad', messages }, { signal }))
  await assert.rejects(client.chat.completions.create({ model: 'up/bad', messages, stream: true }, { signal }))
  for await (const _ of await client.chat.completions.create({ model: 'up/m', messages, stream: true }, { signal }));
  for await (const _ of await client.chat.completions.create({ model: 'up/m', messages, stream: true }, { signal })) break
  assert.equal(signal.addEventListener.mock.callCount(), 5)
  assert.equal(listeners, 0)
})

test('a closed client says so', async () => {
  const client = new Interfuse({ config: {} })
  await client[Symbol.asyncDispose]()
  await assert.rejects(client.chat.completions.create({ model: 'up/m', messages }), MisuseError)
  await assert.rejects(client.usage(), MisuseError)
})

test('a price list is taken as text, bytes or a file, and what is wrong in it is told', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.', usage: { prompt_tokens: 7, completion_tokens: 3 } } }])
  const client = new Interfuse({ config: up.config })
  const cost = async () => (await client.chat.completions.create({ model: 'up/m', messages })).interfuse.cost_nanos
  assert.equal(await cost(), undefined)
  const entry = { litellm_provider: 'up', input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 }
  const list = JSON.stringify({ 'up/m': entry, 'up/n': { ...entry, input_cost_per_token: -1 } })
  for (const form of [list, Buffer.from(list)]) {
    const loaded = await client.loadPrices(form)
    assert.equal(loaded.format, 'litellm')
    assert.equal(loaded.rows, 1)
    assert.match(loaded.refused[0], /^up\/n: input_cost_per_token/)
  }
  assert.equal(await cost(), 13_000)
  await assert.rejects(client.loadPrices('{}'), /price list/)
})

test('reports of vendors are compared with the ledger and what they say otherwise is posted once', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.', usage: { prompt_tokens: 7, completion_tokens: 3 } } }])
  const client = new Interfuse({ config: { ...up.config, prices: { 'up/m': { input: '1', output: '2' } } } })
  await client.chat.completions.create({ model: 'up/m', messages })
  const date = new Date().toISOString().slice(0, 10)
  const report = (usage) => JSON.stringify({ data: [{ date, model: 'm', usage, prompt_tokens: 7, completion_tokens: 3 }] })
  const options = { provider: 'up', post: true }
  const agreed = await client.reconcile(report(0.000013), options)
  assert.equal(agreed.ok, true)
  assert.equal(agreed.posted, 0)
  for (const posted of [1, 0]) {
    const found = await client.reconcile({ name: 'a.json', content: Buffer.from(report(0.00002)) }, options)
    assert.equal(found.posted, posted)
    assert.equal(found.ok, posted === 0)
    assert.equal(found.files[0].name, 'a.json')
  }
  const { total } = await client.usage()
  assert.deepEqual([total.cost_nanos, total.corrections_nanos], [13_000, 7_000])
  await assert.rejects(client.reconcile('no report'), /report 1/)
  await assert.rejects(client.reconcile([], { tolerence: '1%' }), /tolerence/)
})

test('providers and models are listed without keys', async () => {
  const client = new Interfuse({ config: { providers: { groq: { api_key: 'gsk-secret' } } } })
  const providers = await client.providers()
  assert.equal(providers.find((p) => p.id === 'groq').ready, true)
  assert.ok(!JSON.stringify(providers).includes('gsk-secret'))
  const models = await client.models.list()
  assert.ok(models.length > 10)
  assert.ok(models.every((model) => Array.isArray(model.offers)))
})
