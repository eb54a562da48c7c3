// The testing kit: scripted answers and cassettes, as a user's tests would have them. Needs no other server than its own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import {
  APIConnectionError, APITimeoutError, AuthenticationError, BadRequestError, ConfigError, Interfuse, NotFoundError, RateLimitError,
  StreamInterruptedError,
} from 'interfuse'
import { Upstream, answer, cassette, embeddings, error, reset, when } from 'interfuse/testing'

const KEY = 'sk-canary/4f1d+0c9e8b7a'
const messages = [{ role: 'user', content: 'Where do you live?' }]
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

async function start(t, script, options) {
  const up = await Upstream.start(script, options)
  t.after(() => up.close())
  return up
}

function folder(t) {
  const made = mkdtempSync(join(tmpdir(), 'interfuse-'))
  t.after(() => rmSync(made, { recursive: true }))
  return made
}

const lab = (up) => ({ providers: { lab: { base_url: up.baseURL, api_key: KEY } }, retries: { base_ms: 1, max_ms: 1 } })

const said = async (client, model, more) =>
  (await client.chat.completions.create({ model, messages, ...more })).choices[0].message.content

async function streamed(client, model) {
  const words = []
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
    if (chunk.choices[0]?.delta.content) words.push(chunk.choices[0].delta.content)
  }
  return words
}

const caught = (promise) => promise.then(() => assert.fail('nothing was thrown'), (error) => error)

const post = async (url, headers, body) => (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).text()

test('bare answers come in order and the last repeats', async (t) => {
  const up = await start(t, [answer('One.'), answer('Two.')])
  const client = up.client()
  for (const expected of ['One.', 'Two.', 'Two.']) assert.equal(await said(client, 'up/m'), expected)
  assert.deepEqual(up.requests.map(({ provider, model, path, route }) => [provider, model, path, route]), Array(3).fill(['up', 'm', '/v1/chat/completions', 0]))
  assert.deepEqual(up.requests[0].body.messages, messages)
  assert.equal(up.requests[0].headers.authorization, '[scrubbed]')
  assert.ok(!JSON.stringify(up.requests).includes('key-of-up'))
})

test('a fault, then an answer with its price', async (t) => {
  const bern = answer('Bern.', { usage: { prompt_tokens: 1000, completion_tokens: 10 } })
  const route = when({ model: 'm-a' }).then(error(429, 'slow down', { retryAfter: 0 }), bern)
  const up = await start(t, [route, answer('Rome.')], { prices: { 'up/m-a': { input: '3', output: '100' } } })
  const made = await up.client().chat.completions.create({ model: 'up/m-a', messages })
  assert.equal(made.choices[0].message.content, 'Bern.')
  assert.equal(made.interfuse.cost_usd, '0.004')
  assert.equal(made.interfuse.attempts[0].status, 429)
  assert.equal(await said(up.client(), 'up/other'), 'Rome.')
})

test('errors have status, code and headers', async (t) => {
  const up = await start(t, error(429, 'slow down', { code: 'too_fast', retryAfter: 7 }))
  const thrown = await caught(said(up.client({ maxRetries: 0 }), 'up/m'))
  assert.ok(thrown instanceof RateLimitError)
  assert.deepEqual([thrown.retry_after_ms, thrown.code, thrown.message], [7000, 'too_fast', 'slow down'])
})

test('several providers and a fallback; names of the catalogue too', async (t) => {
  const up = await start(t, [when({ provider: 'a' }).then(reset()), answer('Bern.', { delay_ms: 1 })], { providers: ['a', 'b', 'groq'] })
  assert.equal(await said(up.client(), 'a/m', { models: ['b/m'] }), 'Bern.')
  assert.equal(up.requests[0].provider, 'a')
  assert.equal(up.requests.at(-1).provider, 'b')
  assert.equal(await said(up.client(), 'groq/openai/gpt-oss-120b'), 'Bern.')
})

test('streams break where the script says', async (t) => {
  const broken = answer('one two three four', { breaks: { after: 2, then: [{ reset: true }] } })
  const up = await start(t, [when({ model: 'whole' }).then(answer(' one  two\n', { chunk_delay_ms: 1 })), broken])
  const client = up.client({ maxRetries: 0 })
  assert.deepEqual(await streamed(client, 'up/whole'), [' one', '  two\n'])
  const thrown = await caught(streamed(client, 'up/broken'))
  assert.ok(thrown instanceof StreamInterruptedError)
  assert.equal(thrown.partial.text, 'one two')
})

test('a body may be cut', async (t) => {
  const up = await start(t, answer('one two three', { cut_after: 150 }))
  const client = up.client({ maxRetries: 0 })
  assert.ok((await caught(said(client, 'up/m'))) instanceof APIConnectionError)
  assert.ok((await caught(streamed(client, 'up/m'))) instanceof APIConnectionError)
})

test('a stalled answer ends when its client leaves', async (t) => {
  const up = await start(t, { steps: [{ stall: true }] })
  assert.ok((await caught(up.client({ timeout: 200 }).chat.completions.create({ model: 'up/m', messages }))) instanceof APITimeoutError)
  assert.equal(up.requests.length, 1)
})

test('tool calls, whole and streamed', async (t) => {
  const up = await start(t, answer('', { tool_calls: [{ name: 'f', arguments: { city: 'Bern and Rome' } }] }))
  const client = up.client()
  const whole = await client.chat.completions.create({ model: 'up/m', messages })
  assert.deepEqual(JSON.parse(whole.choices[0].message.tool_calls[0].function.arguments), { city: 'Bern and Rome' })
  const pieces = []
  for await (const chunk of await client.chat.completions.create({ model: 'up/m', messages, stream: true })) {
    for (const call of chunk.choices[0]?.delta.tool_calls ?? []) pieces.push(call.function?.arguments ?? '')
  }
  assert.deepEqual(JSON.parse(pieces.join('')), { city: 'Bern and Rome' })
  assert.ok(pieces.length > 2)
})

test('embeddings', async (t) => {
  const up = await start(t, embeddings([[1, 0.5], [2, 0]]))
  const vectors = async (form) =>
    (await up.client().embeddings.create({ model: 'up/e', input: ['a', 'b', 'c'], encoding_format: form })).data.map((each) => each.embedding)
  assert.deepEqual(await vectors('float'), [[1, 0.5], [2, 0], [2, 0]])
  assert.deepEqual(await vectors('base64'), ['AACAPwAAAD8=', 'AAAAQAAAAAA=', 'AAAAQAAAAAA='])
})

test('what no route takes fails and says what was scripted', async (t) => {
  const up = await start(t, when({ model: 'm-a', last_role: 'user' }).then(answer('Bern.')))
  const thrown = await caught(said(up.client(), 'up/m-b'))
  assert.ok(thrown instanceof NotFoundError)
  assert.equal(thrown.code, 'script_without_route')
  assert.equal(up.requests[0].route, null)
  for (const told of ['model m-b', 'provider up', 'Where do you live?', '{"model":"m-a","last_role":"user"}']) assert.ok(thrown.message.includes(told), told)
  await assert.rejects(up.client().embeddings.create({ model: 'up/m', input: 'x' }), /no route/)
  const chat = await start(t, answer('Bern.'))
  await assert.rejects(chat.client().embeddings.create({ model: 'up/m', input: 'x' }), /is a chat completion/)
})

for (const [conditions, holds] of [
  [{ path_ends: '/completions' }, true],
  [{ path: '/v1/completions' }, false],
  [{ method: 'POST', provider: 'up' }, true],
  [{ body: { model: 'm', messages: [{ role: 'user' }] } }, true],
  [{ body: { messages: [] } }, false],
  [{ body_contains: 'do you live' }, true],
  [{ header: { 'Content-Type': 'application/json' } }, true],
  [{ header: { 'x-mine': '1' } }, false],
  [{ last_role: 'tool' }, false],
]) {
  test(`condition ${JSON.stringify(conditions)}`, async (t) => {
    const up = await start(t, [when(conditions).then(answer('yes')), answer('no')])
    assert.equal(await said(up.client(), 'up/m'), holds ? 'yes' : 'no')
  })
}

test('a script that is not understood is refused, with the place', async () => {
  for (const [script, param, why] of [
    [{ anser: 'x' }, '[0].anser', /unknown field/],
    [{ when: { modle: 'x' }, then: {} }, '[0].when.modle', /unknown field/],
    [{ when: {}, then: [] }, '[0].then', /at least one/],
    [{ when: {} }, '[0]', /without `then`/],
    [when({ model: 'm' }), '[0]', /without `then`/],
    [{ then: [{}, { json: 1, body: 'x' }] }, '[0].then[1]', /only one body/],
    [{ json: 1, usage: false }, '[0]', /need `answer`/],
    [{ steps: [{ sleep: 1 }] }, '[0].steps[0].sleep', /unknown field/],
    [{ steps: [{ send: 'x', close: true }] }, '[0].steps[0]', /one thing/],
    [{ answer: 'x', breaks: { skip: 1 } }, '[0].breaks', /`after`/],
    [{ tool_calls: [{ name: 'f' }] }, '[0].tool_calls[0]', /`arguments`/],
    [{ embeddings: [] }, '[0].embeddings', /at least one/],
  ]) {
    const thrown = await caught(Upstream.start(script))
    assert.ok(thrown instanceof ConfigError, param)
    assert.equal(thrown.param, param)
    assert.match(thrown.message, why)
  }
})

test('a cassette is recorded once and replayed without the provider', async (t) => {
  const file = join(folder(t), 'talk.json')
  const talk = async (tape) => {
    const client = new Interfuse(tape.options)
    const made = [await said(client, 'lab/m'), await said(client, 'lab/m'), await streamed(client, 'lab/m')]
    made.push((await client.embeddings.create({ model: 'lab/e', input: ['a'] })).data[0].embedding)
    await assert.rejects(said(client, 'lab/odd'), (error) => error instanceof BadRequestError && /too odd/.test(error.message))
    await tape.close()
    return made
  }
  const routes = [when({ path_ends: '/embeddings' }).then(embeddings([[0.25]])), when({ model: 'odd' }).then(error(400, 'too odd'))]
  const up = await Upstream.start([...routes, answer('One.'), answer('Zwölf.'), answer('a b ç')])
  const config = lab(up)
  const tape = await cassette(file, { config })
  assert.equal(tape.mode, 'record')
  const first = await talk(tape)
  assert.deepEqual(first, ['One.', 'Zwölf.', ['a', ' b', ' ç'], [0.25]])
  await up.close()
  // The provider is gone, and nobody has a key.
  const again = await cassette(file)
  assert.equal(again.mode, 'replay')
  assert.deepEqual(await talk(again), first)
  assert.deepEqual(again.unexpected, [])
  assert.deepEqual(await talk(await cassette(file, { mode: 'replay', config })), first)
  const { interactions } = JSON.parse(readFileSync(file, 'utf8'))
  assert.equal(interactions.length, 5)
  assert.ok(interactions.find(({ response }) => response.pieces).response.pieces.length > 1)
})

test('a replay is strict', async (t) => {
  const before = process.env.OPENAI_API_KEY
  process.env.OPENAI_API_KEY = 'of no use here'
  t.after(() => (before === undefined ? delete process.env.OPENAI_API_KEY : (process.env.OPENAI_API_KEY = before)))
  const file = join(folder(t), 'talk.json')
  const up = await start(t, answer('One.'))
  const recording = await cassette(file, { config: lab(up) })
  await said(new Interfuse(recording.options), 'lab/m')
  await recording.close()
  const tape = await cassette(file)
  t.after(() => tape.close())
  const client = new Interfuse(tape.options)
  const thrown = await caught(said(client, 'lab/m', { temperature: 0.5 }))
  assert.ok(thrown instanceof NotFoundError)
  assert.equal(thrown.code, 'not_in_cassette')
  assert.match(thrown.message, /is not among its 1 requests/)
  assert.equal(await said(client, 'lab/m'), 'One.')
  await assert.rejects(said(client, 'lab/m'), /came once more/)
  assert.ok((await caught(said(client, 'openai/gpt-5-mini'))) instanceof AuthenticationError)
  await assert.rejects(said(client, 'ollama/a-server-of-this-machine'), /is not among/)
  assert.equal(tape.unexpected.length, 3)
})

test('modes, and files that are no cassettes', async (t) => {
  const place = folder(t)
  const file = join(place, 'talk.json')
  const refused = async (why, ...given) => {
    const thrown = await caught(cassette(...given))
    assert.ok(thrown instanceof ConfigError)
    assert.match(thrown.message, why)
  }
  await refused(/no cassette/, file, { mode: 'replay' })
  await refused(/no folder/, join(place, 'not', 'there.json'))
  await refused(/is `auto`/, file, { mode: 'play' })
  await refused(/not a path/, file, { config: 'interfuse.toml' })
  for (const text of ['{', '[]', '{"interfuse_cassette": 2}', '{"interfuse_cassette": 1, "providers": {}, "interactions": [{}]}']) {
    writeFileSync(file, text)
    await refused(/is no cassette/, file)
  }
  const up = await start(t, answer('New.'))
  const before = readFileSync(file, 'utf8')
  const dropped = await cassette(file, { mode: 'record', config: lab(up) })
  await said(new Interfuse(dropped.options), 'lab/m')
  await dropped.discard()
  await dropped.close()
  assert.equal(readFileSync(file, 'utf8'), before)
  const tape = await cassette(file, { mode: 'record', config: lab(up) })
  await said(new Interfuse(tape.options), 'lab/m')
  await tape.close()
  assert.ok(readFileSync(file, 'utf8').includes('New.'))
  assert.deepEqual(readdirSync(place), ['talk.json'])
})

test('a stream that was cut is cut again, and a client that left leaves again', async (t) => {
  const file = join(folder(t), 'talk.json')
  const talk = async (tape) => {
    const client = new Interfuse({ ...tape.options, maxRetries: 0 })
    const thrown = await caught(streamed(client, 'lab/cut'))
    assert.ok(thrown instanceof StreamInterruptedError)
    assert.equal(thrown.partial.text, 'one two')
    const silent = client.chat.completions.create({ model: 'lab/silent', messages }, { timeout: 300 })
    assert.ok((await caught(silent)) instanceof APITimeoutError)
    let first
    for await (const chunk of await client.chat.completions.create({ model: 'lab/m', messages, stream: true })) {
      first = chunk.choices[0]?.delta.content
      if (first) break
    }
    assert.equal(first, 'one')
    await tape.close()
  }
  const up = await start(t, [
    when({ model: 'cut' }).then(answer('one two three', { breaks: { after: 2, then: [{ reset: true }] } })),
    when({ model: 'silent' }).then({ delay_ms: 60_000 }),
    answer('one two', { breaks: { after: 1, then: [{ stall: true }] } }),
  ])
  await talk(await cassette(file, { config: lab(up) }))
  const [cut, silent, left] = JSON.parse(readFileSync(file, 'utf8')).interactions
  assert.deepEqual([cut.response.ends, silent.response, left.response.ends], ['cut', null, 'left'])
  await talk(await cassette(file))
})

test('a fusion is replayed', async (t) => {
  const file = join(folder(t), 'talk.json')
  const talk = async (tape) => {
    const client = new Interfuse(tape.options)
    const { text } = await client.fuse('Which town?', { pool: ['lab/a', 'lab/b'], judge: 'lab/j', mode: 'merge', seed: 1 })
    await tape.close()
    return text
  }
  const members = ['a', 'b'].map((model) => when({ model }).then(answer(`${model} says that it is Bern.`)))
  const up = await start(t, [...members, answer('It is Bern, says everybody.')])
  const first = await talk(await cassette(file, { config: lab(up) }))
  const tape = await cassette(file)
  assert.equal(await talk(tape), first)
  assert.deepEqual(tape.unexpected, [])
})

test('a cassette of another language is replayed, and recorded alike', async (t) => {
  // The same file is replayed and recorded in the other languages' tests.
  const shared = join(ROOT, 'tests/cassettes/talk.json')
  const expected = ['In Zürich.', ['In ', 'Zürich.'], [0.25], 7000]
  const talk = async (tape) => {
    const client = new Interfuse({ ...tape.options, maxRetries: 0 })
    const made = [await said(client, 'lab/m'), await streamed(client, 'lab/m')]
    made.push((await client.embeddings.create({ model: 'lab/e', input: ['a'] })).data[0].embedding)
    // The last, as the client then leaves the provider alone for so long.
    const busy = await caught(said(client, 'lab/busy'))
    assert.ok(busy instanceof RateLimitError)
    await tape.close()
    return [...made, busy.retry_after_ms]
  }
  const tape = await cassette(shared, { mode: 'replay' })
  assert.deepEqual(await talk(tape), expected)
  assert.deepEqual(tape.unexpected, [])

  const kept = JSON.parse(readFileSync(shared, 'utf8'))
  const [whole, stream, vectors] = kept.interactions.map(({ response }) => response)
  const busy = error(429, 'slow down', { retryAfter: 7, headers: { 'x-request-id': 'r-1', 'x-account': 'mine' } })
  const up = await start(t, [
    when({ path_ends: '/embeddings' }).then({ headers: { 'content-type': 'application/json' }, body: vectors.body }),
    when({ model: 'busy' }).then(busy),
    when({ body: { stream: true } }).then({ headers: stream.headers, body: stream.pieces.join('') }),
    { json: whole.json },
  ])
  const file = join(folder(t), 'talk.json')
  assert.deepEqual(await talk(await cassette(file, { config: lab(up) })), expected)
  const made = JSON.parse(readFileSync(file, 'utf8'))
  kept.providers.lab.base_url = made.providers.lab.base_url
  assert.deepEqual(made, kept)
})

/** Every header in which a provider of the catalogue takes a credential. */
function authHeaders() {
  const text = readFileSync(join(ROOT, 'core/data/providers.toml'), 'utf8').replace(/^#.*$/gm, '')
  const found = [...text.matchAll(/auth = \{[^}]*?header = "([^"]+)"|key_header = "([^"]+)"/g)].map(([, one, other]) => one ?? other)
  return [...new Set(['authorization', 'proxy-authorization', 'cookie', 'x-amz-security-token', ...found.map((name) => name.toLowerCase())])]
}

test('no key reaches the file, whatever its header', async (t) => {
  const names = authHeaders()
  for (const name of ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key']) assert.ok(names.includes(name), name)
  const file = join(folder(t), 'talk.json')
  const echo = { error: { message: `bad key ${KEY} (sk-canary%2F4f1d%2B0c9e8b7a)` } }
  const leaky = { 'set-cookie': `session=${KEY}`, 'x-echo': KEY, 'x-request-id': `r-${KEY}`, 'openai-organization': 'org-of-mine' }
  // A stream whose pieces end within the key.
  const spread = {
    headers: { 'content-type': 'text/event-stream' },
    steps: [{ send: `data: ${KEY.slice(0, 9)}` }, { delay_ms: 20 }, { send: `${KEY.slice(9)}\n\n` }, { delay_ms: 20 }, { send: 'data: rest\n\n' }],
  }
  const escaped = '{"error": {"message": "bad key sk-canary\\/4f1d\\u002B0c9e8b7a"}}'
  const up = await start(t, [
    when({ body_contains: 'stream' }).then(spread),
    when({ model: 'odd' }).then({ status: 401, headers: { 'content-type': 'application/json' }, body: escaped }),
    when({ model: 'packed' }).then({ headers: { 'content-encoding': 'gzip' }, body: 'who knows what is in it' }),
    { status: 401, headers: leaky, json: echo },
  ])
  const tape = await cassette(file, { config: lab(up) })
  const url = `${tape.options.config.providers.lab.base_url}/chat/completions`
  for (const name of names) {
    for (const value of [KEY, `Bearer ${KEY}`]) {
      assert.ok((await post(`${url}?key=${encodeURIComponent(KEY)}`, { [name]: value }, { said: KEY, name })).includes(KEY))
      assert.ok((await post(url, { [name]: value }, { stream: name })).includes(KEY))
    }
  }
  for (const model of ['m', 'odd']) {
    assert.ok((await caught(said(new Interfuse(tape.options), `lab/${model}`))) instanceof AuthenticationError)
  }
  await assert.rejects(said(new Interfuse(tape.options), 'lab/packed'), /compressed/)
  await tape.close()
  const text = readFileSync(file, 'utf8')
  for (const spelling of [KEY, KEY.slice(9), '0c9e8b7a', 'org-of-mine', 'session']) assert.ok(!text.includes(spelling), spelling)
  const { interactions } = JSON.parse(text)
  assert.equal(interactions.length, 4 * names.length + 2)
  for (const { request, response } of interactions) {
    assert.deepEqual(Object.keys(request), ['method', 'path', 'body'])
    for (const name of Object.keys(response.headers)) assert.ok(['content-type', 'x-request-id'].includes(name), name)
  }
  assert.equal(interactions[1].response.pieces.join(''), 'data: [scrubbed]\n\ndata: rest\n\n')
})

for (const [provider, model] of [['anthropic', 'claude-haiku-4.5'], ['gemini', 'gemini-2.5-flash'], ['openai', 'gpt-5-mini']]) {
  test(`other protocols are recorded with a key of the environment: ${provider}`, async (t) => {
    const file = join(folder(t), 'talk.json')
    process.env.A_KEY_OF_MINE = KEY
    t.after(() => delete process.env.A_KEY_OF_MINE)
    const up = await start(t, error(400, `not today, ${KEY}`))
    const tape = await cassette(file, { config: { providers: { [provider]: { baseURL: up.baseURL, api_key_env: 'A_KEY_OF_MINE' } } } })
    assert.ok((await caught(said(new Interfuse(tape.options), `${provider}/${model}`))) instanceof BadRequestError)
    await tape.close()
    assert.ok(Object.values(up.requests[0].headers).includes('[scrubbed]'))
    const text = readFileSync(file, 'utf8')
    assert.ok(!text.includes(KEY) && text.includes('not today, [scrubbed]'))
    const again = await cassette(file)
    await assert.rejects(said(new Interfuse(again.options), `${provider}/${model}`), /not today/)
    await again.close()
  })
}

test('keys of the environment are found', (t) => {
  const script = `
    import { cassette } from 'interfuse/testing'
    const tape = await cassette(process.argv[1])
    const led = Object.entries(tape.options.config.providers)
    console.log(JSON.stringify(led.map(([name, each]) => [name, new URL(each.base_url).pathname, ...(each.api_key_env ? [each.api_key_env] : [])])))
    await tape.discard()`
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/_(KEY|TOKEN)$/.test(name)))
  const file = join(folder(t), 'talk.json')
  const run = (env) => {
    const options = { cwd: import.meta.dirname ?? fileURLToPath(new URL('.', import.meta.url)), env: { ...clean, ...env }, encoding: 'utf8' }
    return spawnSync(process.execPath, ['--input-type=module', '-e', script, '--', file], options)
  }
  const { stdout, stderr } = run({ MISTRAL_API_KEY: KEY, GROQ_API_KEY: KEY })
  const led = JSON.parse(stdout || stderr)
  assert.deepEqual(led.filter(([, , variable]) => variable), [['mistral', '/mistral/v1', 'MISTRAL_API_KEY'], ['groq', '/groq/openai/v1', 'GROQ_API_KEY']])
  assert.deepEqual(led.find(([name]) => name === 'ollama'), ['ollama', '/ollama/v1'], 'it needs no key, and is recorded too')
  assert.ok(!led.some(([name]) => name === 'openai'))
  assert.ok(!existsSync(file))
})
