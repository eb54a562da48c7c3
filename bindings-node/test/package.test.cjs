// The package as others load it: both module systems give the same classes, nothing happens at import.
'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const { test } = require('node:test')

const required = require('interfuse')

test('require and import give the same objects, all of them', async () => {
  const imported = await import('interfuse')
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).sort())
  for (const name of Object.keys(required)) assert.equal(imported[name], required[name], name)
  assert.equal(typeof required.Interfuse, 'function')
  assert.equal(typeof required.RateLimitError, 'function')
})

test('so do the entries beside it', async () => {
  for (const entry of ['interfuse/ai', 'interfuse/otel', 'interfuse/serve', 'interfuse/testing']) {
    const [one, other] = [require(entry), await import(entry)]
    assert.deepEqual(Object.keys(one).sort(), Object.keys(other).sort())
    for (const name of Object.keys(one)) assert.equal(other[name], one[name], name)
  }
})

test('importing loads no native code and reads no environment', () => {
  const script = `
    const read = []
    process.env = new Proxy(process.env, { get: (all, name) => { read.push(name); return all[name] } })
    require('interfuse')
    const native = Object.keys(require.cache).filter((name) => name.endsWith('.node'))
    console.log(JSON.stringify({ native, read: read.filter((name) => /KEY|INTERFUSE/.test(String(name))) }))`
  const told = execFileSync(process.execPath, ['-e', script], { cwd: __dirname, encoding: 'utf8' })
  assert.deepEqual(JSON.parse(told), { native: [], read: [] })
})

test('a checkout without an addon says how to build one', () => {
  const script = `
    const Module = require('node:module')
    const original = Module._resolveFilename
    Module._resolveFilename = function (name, ...rest) {
      if (name.endsWith('.node')) throw Object.assign(new Error('no such file'), { code: 'MODULE_NOT_FOUND' })
      return original.call(this, name, ...rest)
    }
    const { Interfuse, MisuseError } = require('interfuse')
    try { new Interfuse() } catch (error) { console.log(error instanceof MisuseError, error.message) }`
  const told = execFileSync(process.execPath, ['-e', script], { cwd: __dirname, encoding: 'utf8' })
  assert.match(told, /^true .*js\/interfuse\..*\.node is missing.*npm run build/)
})
