// A key is shown by nothing that a program prints.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'

import { Interfuse } from 'interfuse'

import { messages, upstream } from './upstream.mjs'

const CANARY = 'canary-Qx7f3A9c1E5b2D8406zW'

const ways = (folder) => {
  const file = join(folder, 'key')
  writeFileSync(file, CANARY)
  return {
    api_key: { api_key: CANARY },
    api_key_file: { api_key_file: file },
    keys: { keys: [{ name: 'a', api_key: CANARY }] },
    headers: { api_key: 'another-key', headers: { 'x-api-key': CANARY } },
    callable: { api_key: async () => CANARY },
  }
}

for (const way of ['api_key', 'api_key_file', 'keys', 'headers', 'callable']) {
  test(`a key is told nowhere: ${way}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'interfuse-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const up = await upstream(t, [
      { when: { model: 'm-a' }, then: { status: 401, json: { error: { message: `bad ${CANARY}`, code: CANARY } } } },
      { when: { model: 'm-b' }, then: { status: 302, headers: { location: `http://x/?k=${CANARY}` }, body: '' } },
      { then: { answer: 'In Bern.' } },
    ])
    const config = { use_environment: false, providers: { up: { base_url: up.base, ...ways(folder)[way] } } }
    const client = new Interfuse({ config })
    const deep = { depth: Infinity, showHidden: true, getters: true }
    let told = ''
    const tell = (thing) => { told += `${inspect(thing, deep)} ${String(thing)} ${JSON.stringify(thing)}\n` }
    for (const model of ['up/m-a', 'up/m-b', 'up/m-c']) {
      await client.chat.completions.create({ model, messages }).then(tell, (error) => { tell(error); told += error.stack })
    }
    tell(client)
    tell(await client.usage({ by: ['provider'] }))
    assert.match(told, /In Bern\./)
    assert.match(told, /\*\*\*/)
    assert.ok(!told.includes(CANARY), told.slice(Math.max(0, told.indexOf(CANARY) - 200)).slice(0, 500))
    assert.ok(JSON.stringify((await up.log()).map((request) => request.headers)).includes(CANARY), 'the key was used')
  })
}
