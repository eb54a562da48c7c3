// Errors: classes, fields, and what they never show.
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import {
  APIConnectionError, APIError, APIStatusError, APITimeoutError, BadRequestError, ConfigError, ContextLengthError,
  DeadlineExceededError, Interfuse, InterfuseError, NotFoundError, RateLimitError,
} from 'interfuse'

import { messages, upstream } from './upstream.mjs'

const rejection = (promise) => promise.then(() => assert.fail('it should fail'), (error) => error)

test('a vendor error has its class and everything the vendor said', async (t) => {
  const up = await upstream(t, [{ then: {
    status: 429, headers: { 'x-request-id': 'r-1', 'retry-after': '0' }, json: { error: { message: 'slow down', code: 'too_fast' } },
  } }])
  const client = new Interfuse({ config: up.config, maxRetries: 1 })
  const error = await rejection(client.chat.completions.create({ model: 'up/m', messages }))
  for (const Class of [RateLimitError, APIStatusError, APIError, InterfuseError, Error]) assert.ok(error instanceof Class)
  assert.equal(error.name, 'RateLimitError')
  assert.match(error.remedy, /^Wait for `retry_after`.*\.$/)
  assert.equal(Object.hasOwn(error, 'remedy'), false, 'what the vendor said is data; what to do is the class')
  assert.equal(error.kind, 'rate_limited')
  assert.equal(error.status, 429)
  assert.equal(error.code, 'too_fast')
  assert.equal(error.provider, 'up')
  assert.equal(error.model, 'm')
  assert.equal(error.retryable, true)
  assert.equal(error.request_id, 'r-1')
  assert.equal(error.attempts.length, 2)
  assert.match(error.message, /slow down/)
  assert.match(error.stack, /^RateLimitError: /)
  assert.equal(JSON.parse(JSON.stringify(error)).message, error.message)
})

test('the family tree is the one of the table', () => {
  assert.ok(ContextLengthError.prototype instanceof BadRequestError)
  assert.ok(DeadlineExceededError.prototype instanceof APITimeoutError)
  assert.ok(APITimeoutError.prototype instanceof APIConnectionError)
  assert.ok(ConfigError.prototype instanceof InterfuseError)
  assert.ok(!(ConfigError.prototype instanceof APIError))
})

test('a deadline is an error of its own, also per call', async (t) => {
  const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
  const client = new Interfuse({ config: up.config })
  const error = await rejection(client.chat.completions.create({ model: 'up/m', messages }, { timeout: 50 }))
  assert.ok(error instanceof APITimeoutError, inspect(error))
})

test('nobody listens', async () => {
  const client = new Interfuse({ baseURL: 'http://127.0.0.1:9/v1', apiKey: 'key-not-to-show', maxRetries: 0 })
  const error = await rejection(client.chat.completions.create({ model: 'm', messages }))
  assert.ok(error instanceof APIConnectionError)
  assert.ok(!inspect(error).includes('key-not-to-show'))
  assert.ok(!inspect(client).includes('key-not-to-show'))
})

test('a request of the wrong form names the place', async (t) => {
  const up = await upstream(t, [])
  const client = new Interfuse({ config: up.config })
  const error = await rejection(client.chat.completions.create({ model: 'up/m', messages: [{ content: 'no role' }] }))
  assert.ok(error instanceof BadRequestError)
  assert.equal(error.kind, 'invalid_request')
  assert.match(error.param, /^messages\[0\]/)
  await assert.rejects(client.chat.completions.create(), TypeError)
  assert.ok((await rejection(client.usage({ by: 7 }))) instanceof BadRequestError)
  assert.deepEqual(await up.log(), [])
})

test('configuration: object, file, environment; faults name the path', (t) => {
  assert.throws(() => new Interfuse({ config: { providers: { a: { base_urll: 'x' } } } }), (error) => {
    assert.ok(error instanceof ConfigError)
    assert.equal(error.param, 'providers.a.base_urll')
    return true
  })
  assert.throws(() => new Interfuse({ apiKey: 'whose' }), ConfigError)
  const folder = mkdtempSync(join(tmpdir(), 'interfuse-'))
  const file = join(folder, 'interfuse.toml')
  writeFileSync(file, '[providers.own]\nbase_url = "http://127.0.0.1:9/v1"\n')
  new Interfuse({ config: file })
  assert.throws(() => new Interfuse({ config: join(folder, 'missing.toml') }), /missing\.toml cannot be read/)
  process.env.INTERFUSE_CONFIG = join(folder, 'gone.toml')
  t.after(() => delete process.env.INTERFUSE_CONFIG)
  assert.throws(() => new Interfuse(), /gone\.toml that INTERFUSE_CONFIG names cannot be read/)
  new Interfuse({ config: {} })
})

test('an unknown provider is not found', async () => {
  const client = new Interfuse({ config: { use_environment: false } })
  const error = await rejection(client.chat.completions.create({ model: 'nowhere/m', messages }))
  assert.ok(error instanceof NotFoundError)
})
