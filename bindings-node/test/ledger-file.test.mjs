// The ledger in a file: shared, flushed, and whole when the process has ended.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Interfuse, MisuseError, StorageError } from 'interfuse'

import { upstream } from './upstream.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const hi = { model: 'up/m', messages: [{ role: 'user', content: 'Where?' }] }

/** A server, and a configuration whose ledger is a file. */
async function setUp(t) {
  const folder = mkdtempSync(join(tmpdir(), 'interfuse-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
  const path = join(folder, 'calls.db')
  return { path, config: { ...up.config, ledger: { path } } }
}

test('clients share a file, and disposing of one writes what waits', async (t) => {
  const { config } = await setUp(t)
  const [one, other] = [new Interfuse({ config }), new Interfuse({ config })]
  await one.chat.completions.create({ ...hi, tags: { project: 'a' } })
  await one.flush()
  assert.deepEqual((await other.usage({ by: 'project' })).rows[0].group, { project: 'a' })
  await one[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
  await assert.rejects(one.flush(), MisuseError)
  assert.equal((await other.usage()).total.attempts, 1)
})

test('the end of the process writes what waits', async (t) => {
  const { config } = await setUp(t)
  const script = `
    import { Interfuse } from 'interfuse'
    const client = new Interfuse({ config: ${JSON.stringify(config)} })
    for (let n = 0; n < 30; n++) await client.chat.completions.create(${JSON.stringify(hi)})
    process.exit(0)`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: here, encoding: 'utf8' })
  assert.deepEqual([child.status, child.stderr], [0, ''])
  assert.equal((await new Interfuse({ config }).usage()).total.attempts, 30)
})

test('what is no ledger is refused', async (t) => {
  const { path, config } = await setUp(t)
  writeFileSync(path, 'a shopping list')
  assert.throws(() => new Interfuse({ config }), StorageError)
})
