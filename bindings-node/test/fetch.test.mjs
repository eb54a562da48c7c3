// OpenAI's own client, unmodified, with `fetch: client.fetch`.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Interfuse } from 'interfuse'
import OpenAI from 'openai'

import { endless, messages, upstream } from './upstream.mjs'

const through = (up) => {
  const client = new Interfuse({ config: up.config })
  return { client, openai: new OpenAI({ apiKey: 'not-sent', baseURL: 'http://interfuse.invalid/v1', fetch: client.fetch }) }
}

test('an answer, through interfuse', async (t) => {
  const up = await upstream(t, [{ then: [{ status: 500, json: {} }, { answer: 'In Bern.' }] }])
  const { client, openai } = through(up)
  const answer = await openai.chat.completions.create({ model: 'up/m', messages })
  assert.equal(answer.choices[0].message.content, 'In Bern.')
  assert.equal(answer.interfuse.attempts.length, 2)
  assert.equal((await client.usage()).total.attempts, 2)
  assert.ok((await up.settled()).every((entry) => entry.headers.authorization === 'Bearer key'))
})

test('a stream, left early', async (t) => {
  const up = await upstream(t, [{ when: { model: 'm' }, then: { answer: 'In Bern, of course.' } }, { when: { model: 'e' }, then: endless('In ') }])
  const { openai } = through(up)
  let all = ''
  for await (const chunk of await openai.chat.completions.create({ model: 'up/m', messages, stream: true })) all += chunk.choices[0]?.delta.content ?? ''
  assert.equal(all, 'In Bern, of course.')
  for await (const _ of await openai.chat.completions.create({ model: 'up/e', messages, stream: true })) break
  const log = await up.settled()
  assert.notEqual(log.at(-1).client_closed_ms ?? null, null)
})

test('an error is one of its own, and is not retried again', async (t) => {
  const up = await upstream(t, [{ then: { status: 429, headers: { 'retry-after': '0' }, json: { error: { message: 'slow down' } } } }])
  const { openai } = through(up)
  await assert.rejects(openai.chat.completions.create({ model: 'up/m', messages }), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError)
    assert.match(error.message, /slow down/)
    return true
  })
  assert.equal((await up.settled()).length, 2, 'one call and its retry')
  await assert.rejects(openai.images.generate({ prompt: 'x' }), OpenAI.NotFoundError)
})

test('an abort', async (t) => {
  const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
  const { openai } = through(up)
  const controller = new AbortController()
  const answer = openai.chat.completions.create({ model: 'up/m', messages }, { signal: controller.signal })
  while ((await up.log()).length === 0) await new Promise(setImmediate)
  controller.abort()
  await assert.rejects(answer, OpenAI.APIUserAbortError)
  const [entry] = await up.settled()
  assert.notEqual(entry.client_closed_ms ?? null, null)
})

test('the list of models', async (t) => {
  const { openai } = through(await upstream(t, []))
  const ids = []
  for await (const model of openai.models.list()) ids.push(model.id)
  assert.ok(ids.length > 10)
})
