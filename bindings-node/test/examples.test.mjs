// The examples, run as a user runs them, with OpenAI's own client at the other end of a socket.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import OpenAI from 'openai'

import { endless, messages, upstream } from './upstream.mjs'

/** Starts an example; its base URL. */
async function start(t, name, config) {
  const folder = mkdtempSync(join(tmpdir(), 'interfuse-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'interfuse.json')
  writeFileSync(file, JSON.stringify(config))
  const program = fileURLToPath(new URL(`../examples/${name}.mjs`, import.meta.url))
  const env = { ...process.env, PORT: '0', INTERFUSE_CONFIG: file, SERVER_TOKEN: 'token-of-u1' }
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  return value
}

for (const name of ['http', 'express', 'fastify', 'hono']) {
  test(`${name}: whole, streamed, left early, refused`, async (t) => {
    const up = await upstream(t, [{ when: { model: 'm' }, then: { answer: 'In Bern.' } }, { when: { model: 'e' }, then: endless('In ') }, { when: { model: 'slow' }, then: { delay_ms: 3_600_000, answer: 'never' } }])
    const base = await start(t, name, up.config)
    const openai = new OpenAI({ apiKey: 'token-of-u1', baseURL: base, maxRetries: 0 })
    const answer = await openai.chat.completions.create({ model: 'up/m', messages })
    assert.equal(answer.choices[0].message.content, 'In Bern.')
    let all = ''
    for await (const chunk of await openai.chat.completions.create({ model: 'up/m', messages, stream: true })) all += chunk.choices[0]?.delta.content ?? ''
    assert.equal(all, 'In Bern.')
    // The vendor sends nothing after the first word, which comes all the same.
    for await (const chunk of await openai.chat.completions.create({ model: 'up/e', messages, stream: true })) {
      assert.equal(chunk.choices[0].delta.content, 'In ')
      break
    }
    const controller = new AbortController()
    const slow = openai.chat.completions.create({ model: 'up/slow', messages }, { signal: controller.signal })
    while (!(await up.log()).some((entry) => entry.body.model === 'slow')) await new Promise(setImmediate)
    controller.abort()
    await assert.rejects(slow, OpenAI.APIUserAbortError)
    const left = (await up.settled()).filter((entry) => !entry.completed && entry.client_closed_ms != null)
    assert.deepEqual(left.map((entry) => entry.body.model).filter((model) => model !== 'm'), ['e', 'slow'])
    const stranger = new OpenAI({ apiKey: 'another', baseURL: base, maxRetries: 0 })
    await assert.rejects(stranger.chat.completions.create({ model: 'up/m', messages }), OpenAI.AuthenticationError)
    assert.equal((await up.settled()).length, 4)
    if (name !== 'http') assert.equal(await (await fetch(new URL('/', base))).text(), 'the application')
  })
}
