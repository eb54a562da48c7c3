// The packages that `make dist-node` packs, as those meet them who install them: judged by publint and Are The Types Wrong, put
// into empty projects outside the checkout, compiled, run, bundled. What npm has to fetch for that, it keeps in its cache.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'

import { endless, messages, upstream } from './upstream.mjs'

const require = createRequire(import.meta.url)
const { fileName } = require('../js/native.cjs')
const { engines, version } = require('../package.json')
const here = fileURLToPath(new URL('../', import.meta.url))
const root = join(here, '..')
const dist = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'dist')

const machine = fileName().split('.')[1]
const scoped = `@interfuse/${machine}`
const tarballs = [join(dist, `interfuse-${version}.tgz`), join(dist, `interfuse-${machine}-${version}.tgz`)]

const execute = promisify(execFile)
/** What a program prints; it must end with 0. */
const run = async (program, args, options) => (await execute(program, args, { maxBuffer: 1 << 26, ...options })).stdout
const held = async (tarball) => (await run('tar', ['-tzf', tarball])).trim().split('\n').map((name) => name.replace('package/', '')).sort()
const manifest = async (tarball) => JSON.parse(await run('tar', ['-xzOf', tarball, 'package/package.json']))

let outside
before(async () => {
  outside = mkdtempSync(join(tmpdir(), 'interfuse packed '))
  await run('bash', [join(root, 'tests/setup/dist-node.sh'), 'built'])
})
after(() => rmSync(outside, { recursive: true, force: true }))

/** A project outside the checkout, empty but for these files, in which npm installs what the words say; its folder. */
async function install(name, files, ...words) {
  const folder = join(outside, name)
  mkdirSync(folder)
  for (const [file, text] of Object.entries({ 'package.json': '{ "private": true }', ...files })) writeFileSync(join(folder, file), text)
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...words], { cwd: folder })
  return folder
}

test('the tarballs hold what they should and nothing else', async () => {
  const ours = ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'package.json']
  const entries = ['ai', 'index', 'otel', 'serve', 'testing']
  const bodies = `ai ai-answer ai-request answers batch chat-stream client endpoint error errors fetch gathering index keys lines native
    otel raise serve serve-http stream strict structured tee testing testing-cassette testing-plan testing-script testing-scrub
    testing-server testing-upstream tools typed-errors`
  const js = [
    ...bodies.split(/\s+/).map((name) => `${name}.cjs`),
    ...entries.flatMap((name) => [`${name}.mjs`, `${name}.d.mts`, `${name}.d.cts`]),
    ...['chat-stream', 'error', 'errors', 'structured', 'typed-errors'].map((name) => `${name}.d.cts`),
    'types.d.ts',
  ]
  assert.deepEqual(await held(tarballs[0]), [...ours, ...js.map((name) => `js/${name}`)].sort())
  assert.deepEqual(await held(tarballs[1]), [...ours, 'THIRD-PARTY.md', fileName()].sort())
})

test('they ask for each other exactly, for the machine that fits, and run nothing at installation', async () => {
  const [main, addon] = await Promise.all(tarballs.map(manifest))
  assert.deepEqual(main.optionalDependencies, { [scoped]: version })
  assert.equal(main.dependencies, undefined)
  const [os, cpu, abi] = machine.split('-')
  assert.deepEqual([addon.name, addon.version, addon.os, addon.cpu], [scoped, version, [os], [cpu]])
  assert.deepEqual(addon.libc, { gnu: ['glibc'], musl: ['musl'] }[abi])
  for (const { scripts, devDependencies, engines: asked } of [main, addon]) {
    assert.deepEqual({ scripts, devDependencies, asked }, { scripts: undefined, devDependencies: undefined, asked: engines })
  }
})

test('publint has nothing to say', async () => {
  for (const tarball of tarballs) {
    const { buffer } = new Uint8Array(readFileSync(tarball))
    const { messages: said } = await publint({ pack: { tarball: buffer } })
    assert.deepEqual(said, [], tarball)
  }
})

test('the types are not wrong', async () => {
  const { types, entrypoints, problems } = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarballs[0]))))
  assert.equal(types.kind, 'included')
  assert.deepEqual(Object.keys(entrypoints), ['.', './serve', './ai', './otel', './testing', './package.json'])
  // TypeScript's resolution for Node 10, which knows no `exports`, finds the main entry only.
  const known = ({ kind, resolutionKind, entrypoint }) => kind === 'NoResolution' && resolutionKind === 'node10' && entrypoint !== '.'
  assert.deepEqual(problems.filter((problem) => !known(problem)), [])
})

// One program in each module system, which prints an answer.
const PROGRAMS = {
  'esm.mts': `
import { Interfuse, InterfuseError, type ChatCompletion } from 'interfuse'
import { createInterfuse } from 'interfuse/ai'
import { handler } from 'interfuse/serve'
import { Upstream } from 'interfuse/testing'
const client = new Interfuse()
const answer: ChatCompletion = await client.chat.completions.create({ model: 'up/m', messages: [{ role: 'user', content: 'Where?' }] })
// @ts-expect-error a misspelt field
const missing: string = answer.choises
const whole: boolean = missing === undefined && [createInterfuse, handler, Upstream, InterfuseError].every((f) => typeof f === 'function')
console.log(whole && answer.choices[0]!.message.content)
`,
  'cjs.cts': `
import interfuse = require('interfuse')
import ai = require('interfuse/ai')
import serve = require('interfuse/serve')
import testing = require('interfuse/testing')
const client: interfuse.Interfuse = new interfuse.Interfuse()
// @ts-expect-error no such class
void interfuse.Interfused
const whole: boolean = [ai.createInterfuse, serve.handler, testing.Upstream].every((f) => typeof f === 'function')
void client.chat.completions
  .create({ model: 'up/m', messages: [{ role: 'user', content: 'Where?' }] })
  .then((answer: interfuse.ChatCompletion) => console.log(whole && answer.choices[0]!.message.content))
`,
}

/** A project into which both tarballs are installed, without the network; made once. */
let consumer
const installed = () => (consumer ??= install('consumer', PROGRAMS, '--offline', ...tarballs))

/** What the programs print once compiled, run by this Node. */
async function answers(t, node) {
  const folder = await installed()
  const up = await upstream(t, [{ then: { answer: 'In Bern.' } }])
  const config = join(folder, 'interfuse.json')
  writeFileSync(config, JSON.stringify(up.config))
  const env = { ...process.env, INTERFUSE_CONFIG: config }
  return Promise.all(['esm.mjs', 'cjs.cjs'].map((file) => run(node, [file], { cwd: folder, env })))
}

const compile = (cwd, module, moduleResolution) =>
  run(process.execPath, [
    ...[require.resolve('typescript/bin/tsc'), 'esm.mts', 'cjs.cts', '--strict', '--skipLibCheck', 'false', '--target', 'es2022'],
    ...['--module', module, '--moduleResolution', moduleResolution, '--types', 'node', '--typeRoots', join(here, 'node_modules/@types')],
  ], { cwd })

test('installed, programs of both module systems pass tsc --strict and ask a model', async (t) => {
  for (const [module, resolution] of [['node16', 'node16'], ['nodenext', 'nodenext'], ['preserve', 'bundler']]) {
    await t.test(`resolved as ${resolution}`, async (t) => {
      assert.equal(await compile(await installed(), module, resolution), '')
      assert.deepEqual(await answers(t, process.execPath), ['In Bern.\n', 'In Bern.\n'])
    })
  }
  await t.test('in the oldest Node that `engines` allows', async (t) => {
    const [, oldest] = /^>=(\d+\.\d+)$/.exec(engines.node)
    const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
    const node = join(await install('oldest', {}, '--prefer-offline', `${name}@${oldest}.0`), 'node_modules', name, 'bin/node')
    assert.equal(await run(node, ['--version']), `v${oldest}.0\n`)
    assert.deepEqual(await answers(t, node), ['In Bern.\n', 'In Bern.\n'])
  })
})

/** The error of the first client in a project, after these lines of a program. */
async function refusal(folder, lines = '') {
  const script = `
    ${lines}
    const { Interfuse, InterfuseError, MisuseError } = require('interfuse')
    try { new Interfuse() } catch (error) {
      if (!(error instanceof MisuseError && error instanceof InterfuseError)) throw error
      console.log(JSON.stringify({ ...error.toJSON(), cause: error.cause?.message }))
    }`
  return JSON.parse(await run(process.execPath, ['-e', script], { cwd: folder }))
}

test('an addon that is not there, not for this machine, of another version or broken is told with the fix', async () => {
  const folder = await install('bare', {}, '--offline', '--omit=optional', tarballs[0])
  const again = new RegExp(`npm install ${scoped}@${version}\`, or remove node_modules and the lock file`)
  const missing = await refusal(folder)
  assert.match(missing.message, new RegExp(`the package ${scoped}.* is not installed.*--omit=optional.*lock file made on another platform`))
  assert.match(missing.message, again)
  assert.deepEqual([missing.kind, missing.code, missing.retryable], ['misuse', 'MODULE_NOT_FOUND', false])
  assert.match(missing.cause, /Cannot find module/)

  const elsewhere = await refusal(folder, "Object.defineProperty(process, 'platform', { value: 'sunos' })")
  assert.match(elsewhere.message, new RegExp(`^interfuse ${version} has no native addon for sunos-${process.arch}, only for ${machine}\\.$`))
  const musl = await refusal(folder, "Object.defineProperty(process, 'platform', { value: 'linux' }); process.report.getReport = () => ({ header: {} })")
  assert.match(musl.message, new RegExp(`no native addon for linux-${process.arch}-musl, only for ${machine}\\. .*Alpine, take an image with glibc`))

  const place = join(folder, 'node_modules', scoped)
  const lay = (said) => writeFileSync(join(place, 'package.json'), JSON.stringify({ name: scoped, version: said, main: fileName() }))
  mkdirSync(place, { recursive: true })
  lay(version)
  assert.match((await refusal(folder)).message, again)
  writeFileSync(join(place, fileName()), 'not a library')
  const broken = await refusal(folder)
  assert.equal(broken.code, 'ERR_DLOPEN_FAILED')
  assert.ok(broken.message.startsWith(`interfuse: ${scoped} does not load: ${broken.cause}. If the file is damaged`), broken.message)
  copyFileSync(join(here, 'js', fileName()), join(place, fileName()))
  lay('0.0.9')
  const other = await refusal(folder)
  assert.match(other.message, new RegExp(`${version} found the addon of 0.0.9.*npm install interfuse@${version} ${scoped}@${version}\``))
})

test('Next.js builds the example, and what it ships streams', async (t) => {
  const example = join(here, 'examples/next')
  const folder = await install('next', { 'package.json': readFileSync(join(example, 'package.json')) }, '--prefer-offline', ...tarballs)
  for (const part of ['next.config.mjs', 'app']) cpSync(join(example, part), join(folder, part), { recursive: true })
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' }
  await run(process.execPath, ['node_modules/next/dist/bin/next', 'build'], { cwd: folder, env })
  // Shipped alone: nothing of the project is there any more.
  const shipped = join(outside, 'shipped')
  renameSync(join(folder, '.next/standalone'), shipped)
  rmSync(folder, { recursive: true })

  const up = await upstream(t, [{ when: { body_contains: 'endless' }, then: endless('In ') }, { then: { answer: 'In Bern.' } }])
  writeFileSync(join(shipped, 'interfuse.json'), JSON.stringify(up.config))
  const port = await free()
  Object.assign(env, { INTERFUSE_CONFIG: join(shipped, 'interfuse.json'), CHAT_MODEL: 'up/m', HOSTNAME: '127.0.0.1', PORT: String(port) })
  const server = spawn(process.execPath, ['server.js'], { cwd: shipped, env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => server.kill())
  let said = ''
  for await (const text of server.stdout.setEncoding('utf8')) if (/Ready/.test((said += text))) break
  const post = (body) => fetch(`http://127.0.0.1:${port}/api/chat`, { method: 'POST', body: JSON.stringify(body) })

  const answer = await post({ messages })
  assert.match(answer.headers.get('content-type'), /^text\/event-stream/)
  const events = (await answer.text()).split('\n\n').filter(Boolean).map((event) => event.replace('data: ', ''))
  assert.equal(events.pop(), '[DONE]')
  assert.equal(events.map((event) => JSON.parse(event).choices[0]?.delta.content ?? '').join(''), 'In Bern.')

  // The vendor sends nothing after the first word, which comes all the same; a client that leaves ends the call.
  const first = (await post({ messages: [{ role: 'user', content: 'endless' }] })).body.getReader()
  assert.match(new TextDecoder().decode((await first.read()).value), /"In "/)
  await first.cancel()
  const [, left] = await up.settled()
  assert.ok(left.client_closed_ms != null)
})

/** A port that nobody listens on. */
async function free() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}
