// `interfuse/serve` over real sockets: what OpenAI's own client sees, who is let in, and what is refused.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import { test } from 'node:test'

import { Interfuse } from 'interfuse'
import { handler, nodeHandler } from 'interfuse/serve'
import OpenAI from 'openai'
import OpenAI7 from 'openai-7'

import { chunk, endless, messages, upstream } from './upstream.mjs'

const SECRET = 'sk-canary-0123456789abcdef0123456789abcdef'

/** Serves what this upstream answers; the client's options go first. */
async function serving(t, routes, { config = {}, before = (serve) => serve, ...options } = {}) {
  const up = await upstream(t, routes)
  up.config.providers.up.api_key = SECRET
  const client = new Interfuse({ config: { ...up.config, ...config } })
  const server = createServer(before(nodeHandler(client, options))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => { server.closeAllConnections(); server.close() })
  const base = `http://127.0.0.1:${server.address().port}/v1`
  const make = (Class = OpenAI, key = 'a') => new Class({ apiKey: key, baseURL: base, maxRetries: 0 })
  const post = (path, body, headers) => fetch(base + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  return { up, client, base, openai: make(), make, post }
}

const asking = (model, more) => JSON.stringify({ model, messages, ...more })

for (const [name, Class] of [['openai 6', OpenAI], ['openai 7', OpenAI7]]) {
  test(`${name}: answers, tools, schemas, embeddings, models, errors with their ids`, async (t) => {
    const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } }
    const { up, make } = await serving(t, [
      { when: { path: '/v1/embeddings' }, then: { json: { object: 'list', model: 'e', data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }], usage: { prompt_tokens: 2, total_tokens: 2 } } } },
      { when: { model: 'm' }, then: { headers: { 'x-request-id': 'req_7' }, answer: 'In Bern.' } },
      { when: { model: 't' }, then: { answer: '', tool_calls: [{ name: 'weather', arguments: { city: 'Bern' } }], finish_reason: 'tool_calls' } },
      { when: { model: 's' }, then: { answer: '{"city":"Bern"}' } },
      { when: { model: 'f' }, then: { status: 429, headers: { 'x-request-id': 'req_8', 'retry-after': '0' }, json: { error: { message: 'slow down', code: 'rate_limit_exceeded' } } } },
    ])
    const openai = make(Class)
    const answer = await openai.chat.completions.create({ model: 'up/m', messages })
    assert.equal(answer.choices[0].message.content, 'In Bern.')
    assert.equal(answer._request_id, 'req_7')
    assert.equal(answer.interfuse.provider, 'up')
    let input = ''
    const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }]
    for await (const part of await openai.chat.completions.create({ model: 'up/t', messages, tools, stream: true })) input += part.choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? ''
    assert.deepEqual(JSON.parse(input), JSON.parse(call.function.arguments))
    const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
    const parsed = await openai.chat.completions.parse({ model: 'up/s', messages, response_format: { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } } })
    assert.equal(parsed.choices[0].message.content, '{"city":"Bern"}')
    const embedded = await openai.embeddings.create({ model: 'up/e', input: 'Bern' })
    assert.deepEqual(embedded.data[0].embedding, [0.5, -1])
    const ids = []
    for await (const model of openai.models.list()) ids.push(model.id)
    assert.ok(ids.length > 10)
    assert.equal((await openai.models.retrieve(ids.at(-1))).id, ids.at(-1))
    await assert.rejects(openai.models.retrieve('no/such'), Class.NotFoundError)
    await assert.rejects(openai.chat.completions.create({ model: 'up/f', messages }), (error) => {
      assert.ok(error instanceof Class.RateLimitError)
      assert.deepEqual([error.status, error.type, error.code, error.requestID], [429, 'rate_limited', 'rate_limit_exceeded', 'req_8'])
      return true
    })
    await assert.rejects(openai.chat.completions.create({ model: 'up/m', messages, provider: { ordr: [] } }), Class.BadRequestError)
    await assert.rejects(openai.images.generate({ prompt: 'x' }), Class.NotFoundError)
    assert.ok((await up.settled()).every((entry) => entry.headers.authorization === `Bearer ${SECRET}`))
  })
}

test('fusions are listed where there is a pool, and answer', async (t) => {
  const routes = ['a', 'b', 'c'].map((name) => ({ when: { model: `m-${name}` }, then: { answer: name === 'c' ? 'Zurich.' : 'Bern.' } }))
  const bare = await serving(t, routes)
  assert.ok(!(await bare.openai.models.list()).data.some(({ id }) => id.startsWith('interfuse/')))
  const { openai } = await serving(t, routes, { config: { pools: { default: { pool: ['up/m-a', 'up/m-b', 'up/m-c'] } } } })
  assert.equal((await openai.models.retrieve('interfuse/vote')).owned_by, 'interfuse')
  const answer = await openai.chat.completions.create({ model: 'interfuse/vote', messages })
  assert.equal(answer.choices[0].message.content, 'Bern.')
  assert.equal(answer._request_id, answer.interfuse.fusion.run_id)
})

test('who may call, and what is laid over the request', async (t) => {
  const said = { yes: true, no: false, nothing: undefined, own: new Response('teapot', { status: 418 }), tags: { tags: { user: 'u7' }, max_tokens: 5 } }
  const faults = []
  const authorize = async (request, req) => {
    const key = request.headers.get('authorization').slice('Bearer '.length)
    assert.equal(req.headers.authorization, `Bearer ${key}`)
    if (key === 'throws') throw new Error(`the users' table at ${SECRET} is gone`)
    return said[key]
  }
  const { up, client, post } = await serving(t, [{ then: { answer: 'ok' } }], { authorize, onError: (error) => faults.push(error.message) })
  const status = {}
  for (const key of [...Object.keys(said), 'throws']) {
    const response = await post('/chat/completions', asking('up/m', { tags: { user: 'forged', team: 'x' }, max_tokens: 9 }), { authorization: `Bearer ${key}` })
    status[key] = response.status
    const body = await response.text()
    assert.ok(!body.includes(SECRET))
    if (key === 'no') assert.equal(JSON.parse(body).error.code, 'authentication')
  }
  assert.deepEqual(status, { yes: 200, no: 401, nothing: 401, own: 418, tags: 200, throws: 500 })
  assert.equal(faults.length, 1)
  assert.deepEqual((await up.settled()).map((entry) => entry.body.max_tokens), [9, 5])
  const { rows } = await client.usage({ by: ['user', 'team'] })
  assert.deepEqual(rows.map((row) => [row.group.user, row.group.team]).sort(), [['forged', 'x'], ['u7', 'x']])
})

test('what is no request of ours is refused in OpenAI\'s form', async (t) => {
  const { up, base, post } = await serving(t, [{ then: { answer: 'ok' } }], { bodyLimit: 500 })
  const cases = [
    [await post('/chat/completions', '{"model"'), 400, 'invalid_request'],
    [await post('/chat/completions', '[]'), 400, 'invalid_request'],
    [await post('/chat/completions', ''), 400, 'invalid_request'],
    [await post('/chat/completions', asking('up/m'), { 'content-type': 'text/plain' }), 415, 'invalid_request'],
    [await post('/chat/completions', asking('x'.repeat(500))), 413, 'invalid_request'],
    [await post('/chat/completions', '{}'), 400, 'invalid_request'],
    [await post('/responses', '{}'), 404, 'unsupported'],
    [await fetch(`${base}/chat/completions`), 405, 'unsupported'],
    [await fetch(base.replace('/v1', '//x/v1/models')), 200, undefined],
  ]
  for (const [response, status, type] of cases) {
    const body = await response.json()
    assert.deepEqual([response.status, body.error?.type], [status, type])
    if (type) assert.equal(typeof body.error.message, 'string')
  }
  assert.equal(cases[7][0].headers.get('allow'), 'POST')
  assert.deepEqual(await up.log(), [])
})

test('a request that no web request can be made of harms nobody', async (t) => {
  const faults = []
  const { base, openai } = await serving(t, [{ then: { answer: 'ok' } }], { onError: (error) => faults.push(error) })
  for (const [method, path] of [['TRACE', '/v1/models'], ['OPTIONS', '*'], ['PUT', '/v1/models'], ['GET', '/v1/models/%ff']]) {
    const request = httpRequest(base, { method, path }).end()
    const status = await once(request, 'response').then(([response]) => response.resume().statusCode, (error) => error.code)
    assert.equal(status, { TRACE: 405, OPTIONS: 404, PUT: 405, GET: 404 }[method])
  }
  assert.deepEqual(faults, [])
  assert.equal((await openai.chat.completions.create({ model: 'up/m', messages })).choices[0].message.content, 'ok')
})

test('an answer of one\'s own keeps its cookies', async (t) => {
  const headers = [['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-mine', '1']]
  const { base } = await serving(t, [], { authorize: () => new Response(null, { status: 204, headers }) })
  const response = await fetch(`${base}/models`)
  assert.deepEqual([response.status, response.headers.getSetCookie(), response.headers.get('x-mine')], [204, ['a=1', 'b=2'], '1'])
})

test('a body without a length is cut at the limit, and the answer still comes', async (t) => {
  const { base } = await serving(t, [], { bodyLimit: 1000 })
  const request = httpRequest(`${base}/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' } })
  const answered = once(request, 'response')
  const sent = once(request, 'finish')
  for (let piece = 0; piece < 64; piece += 1) request.write('x'.repeat(1 << 18))
  request.end()
  const [response] = await answered
  assert.equal(response.statusCode, 413)
  response.resume()
  // More than the sockets hold: what is not wanted is let through, not left standing.
  await sent
})

test('a body that says it is too long is not waited for', async (t) => {
  const { base } = await serving(t, [], { bodyLimit: 1000 })
  const request = httpRequest(`${base}/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': 1001 } })
  request.on('error', () => undefined).flushHeaders()
  const [response] = await once(request, 'response')
  assert.equal(response.statusCode, 413)
  request.destroy()
})

test('a body that the framework has parsed is taken', async (t) => {
  const before = (serve) => async (req, res) => {
    const pieces = []
    for await (const piece of req) pieces.push(piece)
    req.body = JSON.parse(Buffer.concat(pieces))
    await serve(req, res)
  }
  const { openai } = await serving(t, [{ then: { answer: 'In Bern.' } }], { before })
  assert.equal((await openai.chat.completions.create({ model: 'up/m', messages })).choices[0].message.content, 'In Bern.')
})

test('a silent stream sends comments, which clients pass over', async (t) => {
  const late = { headers: { 'content-type': 'text/event-stream' }, steps: [{ delay_ms: 50 }, chunk('In '), { delay_ms: 50 }, chunk('Bern'), { send: 'data: [DONE]\n\n' }] }
  const { up, post, openai } = await serving(t, [{ when: { model: 'e' }, then: endless('In ') }, { then: late }], { keepAliveMs: 1 })
  const reader = (await post('/chat/completions', asking('up/e', { stream: true }))).body.getReader()
  const decoder = new TextDecoder()
  let all = ''
  while (!/data: .*In .*\n\n: waiting\n\n/.test(all)) all += decoder.decode((await reader.read()).value, { stream: true })
  await reader.cancel()
  assert.equal((await up.settled())[0].client_closed_ms == null, false)
  let words = ''
  for await (const part of await openai.chat.completions.create({ model: 'up/m', messages, stream: true })) words += part.choices[0]?.delta.content ?? ''
  assert.equal(words, 'In Bern')
})

test('a failure after a comment is an event, one before it has its status', async (t) => {
  const routes = [{ then: { delay_ms: 100, status: 403, json: { error: { message: 'not for you' } } } }]
  const ask = async ({ openai }) => { for await (const _ of await openai.chat.completions.create({ model: 'up/m', messages, stream: true })); }
  await assert.rejects(ask(await serving(t, routes, { keepAliveMs: 0 })), OpenAI.PermissionDeniedError)
  await assert.rejects(ask(await serving(t, routes, { keepAliveMs: 1 })), (error) => {
    assert.ok(error instanceof OpenAI.APIError)
    assert.match(error.message, /not for you/)
    assert.deepEqual([error.status, error.type], [undefined, 'permission'])
    return true
  })
})

test('a client that leaves a silent stream ends the call', async (t) => {
  const { up, base } = await serving(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }], { keepAliveMs: 1 })
  const controller = new AbortController()
  const response = await fetch(`${base}/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: asking('up/m', { stream: true }), signal: controller.signal })
  await response.body.getReader().read()
  while ((await up.log()).length === 0) await new Promise(setImmediate)
  controller.abort()
  assert.deepEqual((await up.settled()).map((entry) => entry.client_closed_ms != null), [true])
})

test('no key of the server is in any answer', async (t) => {
  const repeats = { error: { message: `Incorrect API key provided: ${SECRET}`, code: SECRET } }
  const { base, post } = await serving(t, [
    { when: { model: 'says' }, then: { status: 401, headers: { 'x-request-id': SECRET }, json: repeats } },
    { when: { model: 'breaks' }, then: { headers: { 'content-type': 'text/event-stream' }, steps: [chunk('In '), { send: `data: ${JSON.stringify(repeats)}\n\n` }, { close: true }] } },
    { then: { answer: 'ok' } },
  ])
  const answers = [
    await post('/chat/completions', asking('up/says')),
    await post('/chat/completions', asking('up/breaks', { stream: true })),
    await post('/chat/completions', asking('up/m', { explain: true })),
    await fetch(`${base}/models`),
  ]
  assert.deepEqual(answers.map(({ status }) => status), [401, 200, 200, 200])
  for (const answer of answers) assert.ok(!`${await answer.text()} ${JSON.stringify([...answer.headers])}`.includes('canary'))
})

test('a body of a web response that is cancelled before the vendor answers ends the call', async (t) => {
  const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
  const serve = handler(new Interfuse({ config: up.config }), { keepAliveMs: 1 })
  const response = await serve(new Request('http://any.host/v1/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: asking('up/m', { stream: true }) }))
  while ((await up.log()).length === 0) await new Promise(setImmediate)
  await response.body.cancel()
  assert.deepEqual((await up.settled()).map((entry) => entry.client_closed_ms != null), [true])
})

test('a web handler: request in, response out, and the signal of the request', async (t) => {
  const up = await upstream(t, [{ when: { model: 'e' }, then: endless('In ') }, { when: { model: 'slow' }, then: { delay_ms: 3_600_000, answer: 'never' } }, { then: { answer: 'In Bern.' } }])
  const serve = handler(new Interfuse({ config: up.config }), { authorize: (_, context) => context?.user === 'u1' })
  const ask = (model, more, signal) => serve(new Request('http://any.host/api/v1/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: asking(model, more), signal }), { user: 'u1' })
  assert.equal((await (await ask('up/m')).json()).choices[0].message.content, 'In Bern.')
  assert.equal((await serve(new Request('http://any.host/v1/models'))).status, 401)
  const reader = (await ask('up/e', { stream: true })).body.getReader()
  assert.match(new TextDecoder().decode((await reader.read()).value), /In /)
  await reader.cancel()
  const controller = new AbortController()
  const slow = ask('up/slow', {}, controller.signal)
  while (!(await up.log()).some((entry) => entry.body.model === 'slow')) await new Promise(setImmediate)
  controller.abort()
  assert.equal((await slow).status, 499)
  assert.deepEqual((await up.settled()).map((entry) => entry.client_closed_ms != null), [false, true, true])
})
