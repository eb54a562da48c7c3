// Embeddings: answers, options, cancellation, and OpenAI's own client over `fetch`.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import OpenAI from 'openai'
import { CallCancelledError, Interfuse } from 'interfuse'

import { upstream } from './upstream.mjs'

const embeds = (...vectors) => ({
  when: { path: '/v1/embeddings' },
  then: {
    json: {
      object: 'list', model: 'm', usage: { prompt_tokens: 4, total_tokens: 4 },
      data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    },
  },
})

test('one embedding per text, in numbers, whatever the vendor sends', async (t) => {
  const up = await upstream(t, [embeds([0.5, -0.25], 'AACAPwAAAD8=')])
  const client = new Interfuse({ config: up.config, tags: { project: 'search' } })
  const answer = await client.embeddings.create({ model: 'up/m', input: ['one', 'two'], dimensions: 2, input_type: 'query' })
  assert.deepEqual(answer.data.map((e) => e.embedding), [[0.5, -0.25], [1, 0.5]])
  assert.deepEqual(answer.usage, { prompt_tokens: 4, total_tokens: 4 })
  assert.equal(answer.interfuse.provider, 'up')
  const [entry] = await up.settled()
  assert.deepEqual(entry.body, { model: 'm', input: ['one', 'two'], dimensions: 2, input_type: 'query' })
  const { rows } = await client.usage({ by: ['purpose', 'project'] })
  assert.deepEqual(rows[0].group, { purpose: 'embedding', project: 'search' })
})

test('an abort closes the socket', async (t) => {
  const up = await upstream(t, [{ then: { steps: [{ stall: true }] } }])
  const client = new Interfuse({ config: up.config })
  const options = { signal: AbortSignal.timeout(300) }
  await assert.rejects(client.embeddings.create({ model: 'up/m', input: 'one' }, options), CallCancelledError)
  const [entry] = await up.settled()
  assert.notEqual(entry.client_closed_ms, null)
})

test('OpenAI’s own client embeds over fetch', async (t) => {
  const up = await upstream(t, [embeds([0.5, -0.25])])
  const client = new Interfuse({ config: up.config })
  const openai = new OpenAI({ apiKey: 'none', fetch: client.fetch })
  // It asks for base64 by itself and decodes it.
  const answer = await openai.embeddings.create({ model: 'up/m', input: 'one' })
  assert.deepEqual([...answer.data[0].embedding], [0.5, -0.25])
})
