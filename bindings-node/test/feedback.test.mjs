// Feedback and calibrations.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { BadRequestError, Interfuse, NotFoundError, calibrate } from 'interfuse'

import { upstream } from './upstream.mjs'

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'interfuse-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test('feedback moves the fusions that follow, and lasts in a file', async (t) => {
  const up = await upstream(t, ['A', 'B'].map((x) => ({ when: { model: `m-${x.toLowerCase()}` }, then: { answer: `The answer is (${x}).` } })))
  const memory = join(await folder(t), 'memory.json')
  const config = { ...up.config, fusion: { memory } }
  const client = new Interfuse({ config })
  const body = { prompt: 'Which is it?\nA. Zurich\nB. Bern', pool: ['up/m-a', 'up/m-b'], mode: 'vote' }
  const first = await client.fuse(body)
  assert.deepEqual(first.report.decision.members, ['up/m-a'])
  await client.feedback(first.id, { answer: 'B' })
  assert.deepEqual((await client.fuse(body)).report.decision.members, ['up/m-b'])
  assert.deepEqual((await new Interfuse({ config }).fuse(body)).report.decision.members, ['up/m-b'])
  assert.deepEqual(JSON.parse(await readFile(memory, 'utf8')).members['up/m-a'], { right: 0, seen: 1 })
  await assert.rejects(client.feedback(first.id, { right: true }), NotFoundError)
  await assert.rejects(client.feedback(first.id, {}), BadRequestError)
})

test('calibrate takes a list or a file', async (t) => {
  const items = [0, 1, 2, 3].map((n) => ({ prompt: 'How many?', gold: '4', answers: { a: 'The answer is 4.', b: `The answer is ${n}.` } }))
  const found = await calibrate(items)
  assert.deepEqual([found.counted, found.models[0].model, found.models[0].right], [4, 'a', 4])
  assert.ok(found.toText().includes(found.advice))
  const file = join(await folder(t), 'items.jsonl')
  await writeFile(file, items.map((item) => JSON.stringify(item)).join('\n'))
  assert.deepEqual(JSON.stringify(await calibrate(pathToFileURL(file))), JSON.stringify(found))
  await assert.rejects(calibrate('none.jsonl'), BadRequestError)
})
