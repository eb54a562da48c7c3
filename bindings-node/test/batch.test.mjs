// Batches: rows and their errors, requests that are pulled, budgets, checkpoints, cancelling.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

import { AuthenticationError, BadRequestError, BudgetExceededError, CallCancelledError, Interfuse } from 'interfuse'

import { upstream } from './upstream.mjs'

const usage = { prompt_tokens: 10, completion_tokens: 2 }
const says = { when: {}, then: { answer: '8', usage } }
const fails = { when: { body_contains: 'bad' }, then: { status: 401, json: { error: { message: 'no' } } } }
const never = { when: { body_contains: 'never' }, then: { delay_ms: 3_600_000, answer: 'never' } }
const common = { model: 'up/m-a', max_tokens: 10, max_retries: 0 }

async function made(t, ...routes) {
  const up = await upstream(t, routes)
  const client = new Interfuse({ config: { ...up.config, prices: { 'up/m-a': { input: '1', output: '10' } } } })
  return [client, up]
}

test('rows in order with their errors', async (t) => {
  const [client] = await made(t, fails, says)
  const cycle = {}
  cycle.self = cycle
  const told = []
  const requests = ['good', 'bad', [{ role: 'user', content: 'good' }], 7, cycle, undefined]
  const batch = client.batch(requests, { common }, { progress: (counts) => told.push(counts) })
  assert.equal(batch.report, null)
  const rows = await batch.toArray()
  assert.deepEqual(rows.map((row) => [row.index, row.text]), ['8', '', '8', '', '', ''].map((text, index) => [index, text]))
  assert.equal(rows[0].cost_usd, '0.00003')
  assert.equal(rows[0].exception, null)
  assert.ok(rows[1].exception instanceof AuthenticationError)
  assert.equal(rows[1].exception.status, 401)
  for (const row of rows.slice(3)) assert.ok(row.exception instanceof BadRequestError)
  assert.match(rows[4].error.message, /cannot be written as JSON/)
  assert.equal(batch.report.answered, 2)
  assert.match(batch.report.toText(), /^2 of 6 rows answered \(1 authentication, 3 invalid_request\), /)
  assert.deepEqual([told[0].done, told[0].of, told.at(-1).done, batch.progress.failed], [0, 6, 6, 4])
  assert.ok(!JSON.stringify(rows[1]).includes('exception'))
})

test('requests are pulled as rows are read, also from an async generator', async (t) => {
  const [client] = await made(t, says)
  for (const kind of ['sync', 'async']) {
    let [pulled, ended] = [0, false]
    const each = {
      *sync() {
        try {
          for (;;) yield `${pulled++}`
        } finally {
          ended = true
        }
      },
      async *async() {
        yield* each.sync()
      },
    }
    let read = 0
    for await (const row of client.batch(each[kind](), { common })) {
      assert.equal(row.index, read)
      if (++read === 500) break
    }
    assert.ok(pulled >= 500 && pulled <= 2000, `${kind}: ${pulled}`)
    await new Promise(setImmediate)
    assert.ok(ended, 'the generator is left, too')
  }
})

test('a generator that fails ends the batch with its error', async (t) => {
  const [client] = await made(t, says)
  const requests = async function* () {
    yield 'good'
    throw new RangeError('row')
  }
  await assert.rejects(client.batch(requests(), { common }).toArray(), RangeError)
  for (const wrong of ['good', 7, {}]) assert.throws(() => client.batch(wrong, { common }), TypeError)
  await assert.rejects(client.batch(['good'], { common, concurrency: 0 }).toArray(), BadRequestError)
})

test('a budget is never passed', async (t) => {
  const [client, up] = await made(t, says)
  const batch = client.batch(Array(20).fill('say'), { common, budget: '0.0004', concurrency: 8 })
  const refused = (await batch.toArray()).filter((row) => row.error)
  assert.ok(batch.report.spent_nanos <= 400_000)
  assert.equal(batch.report.answered, (await up.settled()).length)
  assert.equal(refused.length, 20 - batch.report.answered)
  assert.ok(refused.length > 0 && refused.every((row) => row.exception instanceof BudgetExceededError && row.attempts === 0))
})

test('an aborted batch stops at once and goes on from its checkpoint', async (t) => {
  const [client, up] = await made(t, never, says)
  const folder = await mkdtemp(join(tmpdir(), 'interfuse-'))
  t.after(() => rm(folder, { recursive: true }))
  const checkpoint = pathToFileURL(join(folder, 'run.jsonl'))
  const stop = new AbortController()
  const first = client.batch(['one', 'two', 'never'], { common, checkpoint }, { signal: stop.signal })
  await first.next()
  await first.next()
  const waiting = first.next()
  while ((await up.log()).length < 3) await setTimeout(5)
  stop.abort()
  await assert.rejects(waiting, (error) => error instanceof CallCancelledError && error.name === 'AbortError')
  assert.equal((await up.settled()).length, 3)

  const [second, other] = await made(t, says)
  const again = second.batch(['one', 'two', 'never'], { common, checkpoint })
  assert.deepEqual((await again.toArray()).map((row) => row.kept === true), [true, true, false])
  assert.deepEqual([again.report.kept, (await other.settled()).length], [2, 1])
  await assert.rejects(second.batch(['x', 'two'], { common, checkpoint }).toArray(), /belongs to another batch/)
})
