// Keys from functions: asked before every request, and never told.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { AuthenticationError, CallCancelledError, ConfigError, Interfuse } from 'interfuse'

import { messages, upstream } from './upstream.mjs'

const rotating = () => {
  let number = 0
  return async () => `key-number-${++number}`
}
const sent = async (up, header = 'authorization') => (await up.settled()).map((entry) => entry.headers[header])

test('each request carries the key of its moment', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'ok' } }])
  const key = rotating()
  for (const options of [
    { providers: { up: { baseURL: up.base, apiKey: key } } },
    { config: { providers: { up: { base_url: up.base, api_key: key } } } },
    { provider: 'up', baseURL: up.base, apiKey: key },
  ]) {
    const client = new Interfuse(options)
    for (let call = 0; call < 2; call++) await client.chat.completions.create({ model: 'm', provider: 'up', messages })
    assert.equal((await client.providers()).find((p) => p.id === 'up').key_from, 'callable')
  }
  assert.deepEqual(await sent(up), [1, 2, 3, 4, 5, 6].map((n) => `Bearer key-number-${n}`))
})

test('a refused key is asked for once more and not told', async (t) => {
  const up = await upstream(t, [
    { when: { header: { authorization: 'Bearer key-number-2' } }, then: { answer: 'ok' } },
    { then: { status: 401, json: { error: { message: 'key-number-1 or key-number-4 is not known' } } } },
  ])
  const client = new Interfuse({ providers: { up: { baseURL: up.base, apiKey: rotating() } } })
  await client.chat.completions.create({ model: 'up/m', messages })
  await assert.rejects(client.chat.completions.create({ model: 'up/m', messages }), (error) => {
    assert.ok(error instanceof AuthenticationError)
    assert.doesNotMatch(`${error.message} ${error.body}`, /key-number/)
    return true
  })
})

test('a function that fails or gives no key is an authentication error, and nothing is sent', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'never' } }])
  for (const [key, told] of [
    [async () => { throw new Error('the vault is closed') }, /the vault is closed/],
    [() => { throw new RangeError('at once') }, /RangeError: at once/],
    [() => 5, /a string, not number/],
    [() => '', /no key/],
  ]) {
    const client = new Interfuse({ providers: { up: { baseURL: up.base, apiKey: key } } })
    await assert.rejects(client.chat.completions.create({ model: 'up/m', messages }), (error) => {
      assert.ok(error instanceof AuthenticationError)
      assert.match(error.message, told)
      return true
    })
  }
  assert.deepEqual(await up.settled(), [])
})

test('keys of an AWS account', async (t) => {
  const up = await upstream(t, [{ then: { json: { embedding: [0.5], inputTextTokenCount: 1 } } }])
  let number = 0
  const credentials = async () => ({
    accessKeyId: `AKID${++number}`, secretAccessKey: 'a-secret-of-the-account', sessionToken: 'a-session', expiration: new Date(),
  })
  const bedrock = { baseURL: new URL(up.base).origin, vars: { region: 'eu-west-1' }, credentials }
  const client = new Interfuse({ providers: { bedrock } })
  const body = { model: 'bedrock/amazon.titan-embed-text-v2:0', input: 'hello' }
  for (let call = 0; call < 2; call++) await client.embeddings.create(body)
  assert.deepEqual((await sent(up)).map((s) => s.split('/')[0]), ['AWS4-HMAC-SHA256 Credential=AKID1', 'AWS4-HMAC-SHA256 Credential=AKID2'])
  assert.deepEqual(await sent(up, 'x-amz-security-token'), ['a-session', 'a-session'])
})

test('a call that waits for its key can be aborted', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'never' } }])
  let asked
  const waiting = new Promise((resolve) => { asked = resolve })
  const key = () => { asked(); return new Promise(() => {}) }
  const client = new Interfuse({ providers: { up: { baseURL: up.base, apiKey: key } } })
  const controller = new AbortController()
  const call = client.chat.completions.create({ model: 'up/m', messages }, { signal: controller.signal })
  await waiting
  controller.abort()
  await assert.rejects(call, CallCancelledError)
  assert.deepEqual(await up.settled(), [])
})

test('text laid over a function replaces it; what is no key is a fault of the configuration', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'ok' } }])
  const config = { providers: { up: { base_url: up.base, api_key: rotating() } } }
  const client = new Interfuse({ config, providers: { up: { apiKey: 'key-of-text' } } })
  await client.chat.completions.create({ model: 'up/m', messages })
  assert.deepEqual(await sent(up), ['Bearer key-of-text'])
  assert.throws(() => new Interfuse({ providers: { up: { baseURL: up.base, apiKey: 5 } } }), ConfigError)
})

test('a client with functions lets the process end', async () => {
  const source = `import { Interfuse } from ${JSON.stringify(fileURLToPath(new URL('../js/index.mjs', import.meta.url)))}
    globalThis.kept = new Interfuse({ providers: { openai: { apiKey: async () => 'key' } } })`
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', source], { timeout: 60_000 })
})
