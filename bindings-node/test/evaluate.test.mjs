// Evaluations: figures, progress, checkpoints, cancelling.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { BadRequestError, CallCancelledError, Interfuse } from 'interfuse'

import { upstream } from './upstream.mjs'

const items = [1, 2, 3, 4].map((n) => ({ prompt: `How many is ${n}?`, gold: `${n}` }))

/** Routes: this model knows every answer but one. */
const counts = (model, wrong) =>
  [1, 2, 3, 4].map((n) => ({ when: { model, body_contains: `is ${n}?` }, then: { answer: `${n === wrong ? 0 : n}` } }))

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'interfuse-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test('models and fusions on the same questions', async (t) => {
  const up = await upstream(t, [...counts('m-a'), ...counts('m-b', 2)])
  const client = new Interfuse({ config: up.config, tags: { project: 'trial' } })
  const models = ['up/m-a', 'up/m-b']
  const found = await client.evaluate({ items, models, fusions: { both: { mode: 'vote', pool: models } } })
  assert.deepEqual(found.contenders.filter((c) => !c.mode).map((c) => [c.name, c.right]), [['up/m-a', 4], ['up/m-b', 3]])
  assert.equal(found.best_single, 'up/m-a')
  assert.match(found.toText({ width: 140 }), /95 % interval[^]*do not fuse: use up\/m-a/)
  assert.match(found.toHtml(), /^<!doctype html>/)
  assert.ok(!JSON.stringify(found).includes('toText'))
  assert.equal((await up.settled()).length, 8)
  assert.equal((await client.usage({ by: 'project' })).rows[0].group.project, 'trial')
})

test('items from a file, progress, a page', async (t) => {
  const [up, path] = [await upstream(t, counts('m-a')), await folder(t)]
  const client = new Interfuse({ config: up.config })
  const [file, report] = [pathToFileURL(join(path, 'items.jsonl')), pathToFileURL(join(path, 'report.html'))]
  await writeFile(file, items.map((item) => JSON.stringify(item)).join('\n'))
  const events = []
  for await (const event of await client.evaluate({ items: file, models: ['up/m-a'], concurrency: 1, report, stream: true })) events.push(event)
  assert.deepEqual(events.slice(0, -1).map((event) => [event.type, event.done, event.of]), [0, 1, 2, 3, 4].map((n) => ['progress', n, 4]))
  const { type, result } = events.at(-1)
  assert.equal(type, 'done')
  assert.equal(result.counted, 4)
  assert.equal(await readFile(report, 'utf8'), result.toHtml())
  await assert.rejects(client.evaluate({ items: join(path, 'none.jsonl'), models: ['up/m-a'] }), BadRequestError)
})

for (const stream of [false, true]) {
  test(`an aborted evaluation ${stream ? 'told as it goes on ' : ''}stops at once and goes on from its checkpoint`, async (t) => {
    const never = { when: { model: 'm-a' }, then: { delay_ms: 3_600_000, answer: 'never' } }
    const up = await upstream(t, [...counts('m-a').slice(0, 2), never])
    const body = { items, models: ['up/m-a'], concurrency: 1, checkpoint: join(await folder(t), 'run.jsonl') }
    const stop = new AbortController()
    const client = new Interfuse({ config: up.config })
    const made = (async () => {
      const made = await client.evaluate({ ...body, stream }, { signal: stop.signal })
      if (stream) for await (const _ of made);
    })()
    while ((await up.log()).length < 3) await new Promise((resolve) => setTimeout(resolve, 10))
    stop.abort()
    await assert.rejects(made, CallCancelledError)
    assert.ok((await up.settled())[2].client_closed_ms != null)
    const other = await upstream(t, counts('m-a'))
    const found = await new Interfuse({ config: other.config }).evaluate(body)
    assert.deepEqual([found.counted, found.contenders[0].right], [4, 4])
    assert.equal((await other.settled()).length, 2)
  })
}
