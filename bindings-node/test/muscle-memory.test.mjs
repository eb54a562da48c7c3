// What fingers know of OpenAI's client: names, ways to the response, errors as it has them.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { APIConnectionTimeoutError, APITimeoutError, ConfigError, Interfuse as OpenAI, Stream, VERSION } from 'interfuse'

import { endless, messages, upstream } from './upstream.mjs'

const request = { model: 'up/m', messages }
const json = { id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'In Bern.' }, finish_reason: 'stop' }] }

test('client.chat is short for create', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
  const client = new OpenAI({ config: up.config })
  assert.equal((await client.chat(request)).choices[0].message.content, 'In Bern.')
  assert.ok((await client.chat({ ...request, stream: true })) instanceof Stream)
})

test('a client with other options shares what it has', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'ok' } }])
  const client = new OpenAI({ config: up.config, defaultHeaders: { 'x-a': '1', 'x-b': '1' }, tags: { team: 'core' }, maxRetries: 0 })
  const other = client.withOptions({ defaultHeaders: { 'x-b': '2' }, tags: { project: 'search' }, provider: 'up' })
  await other.chat({ model: 'm', messages })
  const [{ headers }] = await up.settled()
  assert.deepEqual([headers['x-a'], headers['x-b']], ['1', '2'])
  const { rows } = await client.usage({ by: ['team', 'project'] })
  assert.deepEqual(rows.map(({ group }) => group), [{ team: 'core', project: 'search' }], 'one ledger')
  await assert.rejects(client.chat({ model: 'm', messages }), 'the first has no provider of its own')
  for (const name of ['apiKey', 'baseURL', 'config', 'providers']) assert.throws(() => client.withOptions({ [name]: 'x' }), ConfigError)
  other.close()
  assert.equal((await client.chat(request)).choices[0].message.content, 'ok', 'closing one closes one')
  client.close()
  assert.throws(() => client.withOptions({ timeout: 1 }), { kind: 'misuse' })
})

test("the request's id, and the response around an answer", async (t) => {
  const up = await upstream(t, [
    { when: { model: 's' }, then: { answer: 'In Bern.' } }, { then: { json, headers: { 'x-request-id': 'req_1' } } },
  ])
  const client = new OpenAI({ config: up.config })
  const answer = await client.chat.completions.create(request)
  assert.deepEqual([answer._request_id, Object.keys(answer).includes('_request_id')], ['req_1', false])
  const { data, response, request_id } = await client.chat.completions.create(request).withResponse()
  assert.deepEqual([data.choices[0].message.content, response.status, request_id], ['In Bern.', 200, 'req_1'])
  const raw = await client.chat.completions.create(request).asResponse()
  assert.deepEqual([raw.headers.get('x-request-id'), (await raw.json()).id], ['req_1', 'c'])
  const stream = { ...request, model: 'up/s', stream: true }
  const streamed = await client.chat.completions.create(stream).withResponse()
  assert.ok(streamed.data instanceof Stream)
  assert.equal(streamed.response.headers.get('content-type').split(';')[0], 'text/event-stream')
  assert.match(await (await client.chat.completions.create(stream).asResponse()).text(), /data: \[DONE\]\n\n$/)
})

test('errors are what they are there, and are known by the client', async (t) => {
  const then = (status) => ({ status, headers: { 'x-request-id': 'req_2', 'retry-after': '2' }, json: { error: { message: 'no', type: 'a_type', code: 'a_code', param: 'n' } } })
  const statuses = { 400: 'BadRequestError', 401: 'AuthenticationError', 403: 'PermissionDeniedError', 404: 'NotFoundError', 409: 'ConflictError', 422: 'UnprocessableEntityError', 429: 'RateLimitError', 500: 'InternalServerError' }
  const routes = Object.keys(statuses).map((status) => ({ when: { model: `m${status}` }, then: then(Number(status)) }))
  const up = await upstream(t, [...routes, { then: endless() }])
  const client = new OpenAI({ config: up.config, maxRetries: 0 })
  for (const [status, name] of Object.entries(statuses)) {
    await assert.rejects(client.chat({ ...request, model: `up/m${status}` }), (error) => {
      assert.ok(error instanceof OpenAI.APIError && error instanceof OpenAI[name], `${status} is ${error.constructor.name}`)
      assert.deepEqual([error.status, error.name, error.requestID, error.type, error.code], [Number(status), name, 'req_2', 'a_type', 'a_code'])
      assert.deepEqual(error.error, { message: 'no', type: 'a_type', code: 'a_code', param: 'n' })
      assert.equal(error.headers.get('x-request-id'), 'req_2')
      return true
    })
  }
  assert.equal(APIConnectionTimeoutError, APITimeoutError)
  await assert.rejects(client.chat(request, { timeout: 50 }), (error) => error instanceof OpenAI.APIConnectionTimeoutError && error.error === undefined && error.headers === undefined)
  await assert.rejects(client.chat(request, { signal: AbortSignal.abort() }), (error) => error instanceof OpenAI.APIUserAbortError)
  assert.equal(new OpenAI.RateLimitError({ kind: 'rate_limited', message: 'x', retryable: true, body: 'no JSON' }).error, 'no JSON')
})

test('the version is that of the package', async () => {
  const { default: { version } } = await import('interfuse/package.json', { with: { type: 'json' } })
  assert.equal(VERSION, version)
})
