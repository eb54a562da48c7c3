// The ledger: sums, records, exports, the page.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { BadRequestError, Interfuse, StorageError } from 'interfuse'

import { messages, upstream } from './upstream.mjs'

async function used(t) {
  const up = await upstream(t, [{ when: { model: 'm-a' }, then: { answer: 'Bern.', usage: { prompt_tokens: 7, completion_tokens: 2 } } }])
  const client = new Interfuse({ config: { ...up.config, prices: { 'up/m-a': { input: '1', output: '2' } } } })
  for (const project of ['search', '=cmd']) {
    await client.chat.completions.create({ model: 'up/m-a', messages, tags: { project } })
  }
  return client
}

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'interfuse-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test('sums by anything, times in every form', async (t) => {
  const client = await used(t)
  const sums = await client.usage({ by: ['project', 'endpoint'], latencies: true })
  assert.deepEqual(sums.by, ['project', 'endpoint'])
  assert.deepEqual(sums.rows.map((row) => [row.group.project, row.cost_nanos]), [['=cmd', 11_000], ['search', 11_000]])
  assert.equal(typeof sums.total.latency_p95_ms, 'number')
  assert.match(sums.toCsv(), /^project,endpoint,calls.*\n'=cmd,up\/m-a,1,/)
  assert.ok(!JSON.stringify(sums).includes('toCsv'))
  const yesterday = new Date(Date.now() - 86_400_000)
  for (const since of ['1d', yesterday.toISOString(), yesterday, yesterday.getTime()]) {
    assert.equal((await client.usage({ since })).total.attempts, 2)
    assert.equal((await client.usage({ until: since })).total.attempts, 0)
  }
  const { rows } = await client.usage({ by: 'hour', timeZone: 'Asia/Kolkata' })
  assert.match(rows[0].group.hour, /:00\+05:30$/)
  await assert.rejects(client.usage({ since: 'yesterday' }), BadRequestError)
  await assert.rejects(client.usage({ where: { outcome: 'fail' } }), /did you mean `failed`/)
})

test('records one by one', async (t) => {
  const client = await used(t)
  const seen = []
  for await (const record of await client.records({ where: { project: 'search' } })) seen.push(record)
  assert.deepEqual(seen.map((record) => [record.provider, record.cost_nanos]), [['up', 11_000]])
  await assert.rejects(client.records({ since: 'yesterday' }), BadRequestError)
})

test('exports as text and into files', async (t) => {
  const [client, path] = [await used(t), await folder(t)]
  const told = await client.ledger.exportFocus(join(path, 'focus.csv'))
  assert.deepEqual(told, { attempts: 2, cost_unknown: 0, cost_nanos: 22_000, corrections_nanos: 0, rows: 4, complete: true })
  assert.match(await readFile(join(path, 'focus.csv'), 'utf8'), /ServiceProviderName/)
  await client.ledger.exportFocus(pathToFileURL(join(path, 'older.csv')), { version: '1.2', where: { project: 'search' } })
  assert.equal((await readFile(join(path, 'older.csv'), 'utf8')).trim().split('\n').length, 3)
  assert.equal((await client.ledger.export({ format: 'records_json' })).trim().split('\n').length, 2)
  assert.match(await client.usageHtml(), /^<!doctype html>/)
  assert.equal((await client.usageHtml({ path: join(path, 'page.html') })).attempts, 2)
  await assert.rejects(client.ledger.exportFocus(join(path, 'nowhere', 'focus.csv')), StorageError)
  assert.deepEqual((await readdir(path)).sort(), ['focus.csv', 'older.csv', 'page.html'])
})
