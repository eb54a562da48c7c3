// The end of a process or a worker, whatever is still going on.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { endless, upstream } from './upstream.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

/** What a program of these lines exits with; `config` and `messages` are there for it. */
async function exitOf(up, lines) {
  const script = `
    import { Interfuse } from 'interfuse'
    const client = new Interfuse({ config: ${JSON.stringify(up.config)} })
    const messages = [{ role: 'user', content: 'Where?' }]
    const seen = async (n) => { while ((await (await fetch('${up.base.replace('/v1', '')}/__log')).json()).length < n); }
    ${lines}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: here, stdio: ['ignore', 'inherit', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (data) => { stderr += data })
  const [code, signal] = await once(child, 'close')
  return { code, signal, stderr }
}

const clean = { code: 0, signal: null, stderr: '' }

test('process.exit with calls in flight', async (t) => {
  const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
  const lines = `
    for (let n = 0; n < 20; n++) client.chat.completions.create({ model: 'up/m', messages }).catch(() => {})
    await seen(20)
    process.exit(0)`
  assert.deepEqual(await exitOf(up, lines), clean)
})

test('process.exit in the middle of streams', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const lines = `
    for (let n = 0; n < 5; n++) {
      const stream = await client.chat.completions.create({ model: 'up/m', messages, stream: true })
      stream.next().then(() => stream.next())
    }
    process.exit(0)`
  assert.deepEqual(await exitOf(up, lines), clean)
})

test('an open stream that nobody reads does not hold the process', async (t) => {
  const up = await upstream(t, [{ then: endless('In ') }])
  const lines = `
    globalThis.kept = await client.chat.completions.create({ model: 'up/m', messages, stream: true })
    await kept.next()`
  assert.deepEqual(await exitOf(up, lines), clean)
})

test('an exception with a call in flight ends the process as always', async (t) => {
  const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
  const lines = `
    client.chat.completions.create({ model: 'up/m', messages })
    await seen(1)
    throw new Error('told by the user')`
  const { code, signal, stderr } = await exitOf(up, lines)
  assert.deepEqual({ code, signal }, { code: 1, signal: null })
  assert.match(stderr, /told by the user/)
})

test('200 workers come and go, with calls in flight, and the process ends as it should', async (t) => {
  const up = await upstream(t, [
    { when: { model: 'fast' }, then: { answer: 'ok' } },
    { when: { model: 'slow' }, then: { delay_ms: 3_600_000, answer: 'never' } },
    { when: { model: 'endless' }, then: endless('In ') },
  ])
  const worker = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { Interfuse } = require('interfuse')
    const client = new Interfuse({ config: workerData })
    const messages = [{ role: 'user', content: 'Where?' }]
    const create = (model, stream) => client.chat.completions.create({ model, messages, stream })
    create('up/fast').then(async (answer) => {
      create('up/slow').catch(() => {})
      const stream = await create('up/endless', true)
      await stream.next()
      stream.next().catch(() => {})
      parentPort.postMessage(answer.choices[0].message.content)
    })`
  const cycles = 200
  const lines = `
    import { once } from 'node:events'
    import { Worker } from 'node:worker_threads'
    for (let cycle = 0; cycle < ${cycles}; cycle++) {
      const worker = new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [], workerData: ${JSON.stringify(up.config)} })
      const [answer] = await once(worker, 'message')
      if (answer !== 'ok') throw new Error(answer)
      await worker.terminate()
    }`
  assert.deepEqual(await exitOf(up, lines), clean)
  // The calls of a worker end with it: nothing is left open at the upstream.
  const log = await up.settled()
  const count = (model) => log.filter((entry) => entry.body.model === model).length
  assert.deepEqual([count('fast'), count('endless')], [cycles, cycles])
  assert.ok(log.filter((entry) => entry.body.model !== 'fast').every((entry) => entry.client_closed_ms != null))
})

test('the log goes to standard error where the environment says so', async (t) => {
  const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
  const lines = `await client.chat.completions.create({ model: 'up/m', messages })`
  process.env.INTERFUSE_LOG = 'debug'
  t.after(() => delete process.env.INTERFUSE_LOG)
  const { code, stderr } = await exitOf(up, lines)
  assert.equal(code, 0)
  assert.match(stderr, /^interfuse debug: an attempt was answered provider=up model=up\/m .*\n$/)
})
