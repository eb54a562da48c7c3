// Fusion: result, report and events.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { AllMembersFailedError, fusedHtml, Interfuse } from 'interfuse'

import { messages, upstream } from './upstream.mjs'

const same = [{ when: { model: 'm-a' }, then: { answer: 'Bern.' } }, { when: { model: 'm-b' }, then: { answer: 'Bern.' } }]

/** Members that answer, and a judge that writes one answer from theirs. */
const merging = [
  { when: { model: 'm-a' }, then: { answer: 'Zurich, the largest city by far.' } },
  { when: { model: 'm-b' }, then: { answer: 'Bern, where the federal authorities sit.' } },
  { when: { model: 'm-j' }, then: { answer: 'Bern, though Zurich is larger.' } },
]

test('a prompt to a pool gives one answer and its report', async (t) => {
  const up = await upstream(t, merging)
  const client = new Interfuse({ config: up.config })
  const fused = await client.fuse('What is the capital of Switzerland?', { pool: ['up/m-a', 'up/m-b'], judge: 'up/m-j', mode: 'merge' })
  assert.equal(typeof fused.text, 'string')
  assert.equal(fused.message.content, fused.text)
  assert.deepEqual(fused.report.members.map((member) => [member.id, member.status]), [['up/m-a', 'ok'], ['up/m-b', 'ok']])
  assert.equal(fused.report.mode, 'merge')
  const { rows } = await client.usage({ by: ['purpose'] })
  assert.equal(rows.find((row) => row.group.purpose === 'member').attempts, 2)
})

test('a fused answer is a page, and its cost is told before', async (t) => {
  const up = await upstream(t, merging)
  const prices = Object.fromEntries(['up/m-a', 'up/m-b', 'up/m-j'].map((model) => [model, { input: '1', output: '10' }]))
  const client = new Interfuse({ config: { ...up.config, prices } })
  const body = { pool: ['up/m-a', 'up/m-b'], judge: 'up/m-j', mode: 'merge', max_tokens: 100 }
  const told = await client.estimate('What is the capital of Switzerland?', body)
  assert.deepEqual(told.stages.map((stage) => stage.stage), ['members', 'judge', 'synthesis'])
  const fused = await client.fuse('What is the capital of Switzerland?', body)
  assert.ok(fused.report.cost.total_nanos <= told.high_nanos)
  const page = fusedHtml(fused)
  assert.ok(page.startsWith('<!doctype html>') && page.includes('Zurich, the largest city by far.'))
  assert.throws(() => fusedHtml({}), { kind: 'invalid_request' })
})

test('events tell how it goes on, the last has the result', async (t) => {
  const up = await upstream(t, same)
  const client = new Interfuse({ config: up.config })
  const body = { messages, pool: ['up/m-a', 'up/m-b'], judge: 'up/m-a', mode: 'best_of' }
  for (const stream of [await client.fuseStream(body), await client.fuse({ ...body, stream: true })]) {
    const events = []
    for await (const event of stream) events.push(event)
    assert.deepEqual(events.map((event) => event.seq), events.map((_, n) => n))
    assert.equal(events[0].type, 'run_started')
    assert.equal(events.filter((event) => event.type === 'member_done').length, 2)
    const last = events.at(-1)
    assert.equal(last.type, 'run_done')
    assert.equal(last.result.text, 'Bern.')
  }
})

test('leaving the events cancels every member', async (t) => {
  const up = await upstream(t, [{ then: { delay_ms: 3_600_000, answer: 'never' } }])
  const client = new Interfuse({ config: up.config })
  for await (const event of await client.fuseStream('Where?', { pool: ['up/m-a', 'up/m-b'] })) {
    if (event.type !== 'member_started' || event.member !== 'up/m-b') continue
    while ((await up.log()).length < 2) await new Promise(setImmediate)
    break
  }
  const log = await up.settled()
  assert.equal(log.length, 2)
  assert.ok(log.every((entry) => entry.client_closed_ms != null))
})

test('a pool of which nobody answers lists the reasons', async (t) => {
  const up = await upstream(t, [{ then: { status: 401, json: { error: { message: 'bad key' } } } }])
  const client = new Interfuse({ config: up.config })
  await assert.rejects(client.fuse('Where?', { pool: ['up/m-a', 'up/m-b'] }), (error) => {
    assert.ok(error instanceof AllMembersFailedError)
    assert.deepEqual(error.members.map((member) => member.kind), ['authentication', 'authentication'])
    return true
  })
})
