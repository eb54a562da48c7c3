// What a user writes in TypeScript; checked, not run. Each `@ts-expect-error` is a mistake that must be found.
import { createServer } from 'node:http'

import type { EmbeddingModelV3, LanguageModelV3, ProviderV3 } from '@ai-sdk/provider'
import { embed, generateText } from 'ai'
import { generateText as generateText7 } from 'ai-7'
import { Interfuse, InterfuseError, RateLimitError, Stream, calibrate, replay } from 'interfuse'
import { createInterfuse, interfuse } from 'interfuse/ai'
import type { InterfuseMetadata, InterfuseOptions } from 'interfuse/ai'
import { handler, nodeHandler } from 'interfuse/serve'
import { answer as scripted, cassette, embeddings, error as failing, Upstream, when } from 'interfuse/testing'
import type { ChatCompletionChunk, Config, FusionEvent, Message, Pool } from 'interfuse'

const config: Config = { providers: { own: { base_url: 'http://localhost:8000/v1' } }, pools: { default: { pool: ['a/b'] } } }
const client = new Interfuse({ config, timeout: 30_000, tags: { project: 'search' } })

const session = async () => ({ accessKeyId: 'a', secretAccessKey: 'b', expiration: new Date() })
new Interfuse({ provider: 'openai', apiKey: async () => 'key' })
new Interfuse({ providers: { openai: { apiKey: () => 'key' }, bedrock: { credentials: session, vars: { region: 'eu-west-1' } } } })
new Interfuse({ config: { providers: { mistral: { api_key: async () => 'key' }, bedrock: { credentials: { profile: 'dev' } } } } })
// @ts-expect-error a key is text
new Interfuse({ providers: { openai: { apiKey: () => 5 } } })

const messages: Message[] = [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }]
const answer = await client.chat.completions.create({ model: 'openai/gpt-5-mini', messages, tools: [], provider: { order: ['groq'] } })
const text: string | null = answer.choices[0]!.message.content
const cost: string | undefined = answer.interfuse?.cost_usd
messages.push(answer.choices[0]!.message)

const stream = await client.chat.completions.create({ model: 'a/b', messages, stream: true }, { signal: AbortSignal.timeout(1000) })
const checked: Stream<ChatCompletionChunk> = stream
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '')
checked.controller.abort()
const [mine, yours]: [Stream<ChatCompletionChunk>, Stream<ChatCompletionChunk>] = checked.tee()
const answered: Response = mine.toResponse({ headers: { 'x-mine': '1' } })
const returned = Stream.fromReadableStream<ChatCompletionChunk>(yours.toReadableStream(), new AbortController())
for await (const chunk of returned) void [chunk.choices, answered]

const embedded = await client.embeddings.create({ model: 'a/b', input: ['one', 'two'], encoding_format: 'float', dimensions: 256 })
const vector: number[] | string = embedded.data[0]!.embedding
const tokens: number | undefined = embedded.usage?.total_tokens

const pool: Pool = ['a/b', { model: 'c/d', temperature: 0 }]
const fused = await client.fuse('Which?', { pool, judge: 'e/f', mode: 'best_of', max_cost_usd: '0.05' })
const scores: number | undefined = fused.report.members[0]?.scores?.correctness

function show(event: FusionEvent): string {
  switch (event.type) {
    case 'member_failed':
      return event.reason
    case 'run_done':
      return event.result.text
    default:
      return event.type
  }
}
for await (const event of await client.fuse({ messages, pool, stream: true })) show(event)
for await (const event of await client.fuseStream('Which?', { pool })) show(event)

const found = await client.evaluate({ items: new URL('file:///items.jsonl'), models: ['a/b'], fusions: { both: { mode: 'vote', pool } } })
const advice: string = found.recommendation + found.toText({ width: 80 }) + found.contenders[0]!.accuracy.toFixed(1)
for await (const event of await client.evaluate({ items: [{ prompt: 'How many?', gold: '4' }], models: ['a/b'], stream: true })) {
  if (event.type === 'progress') console.log(event.done, event.of)
  else console.log(event.result.toHtml())
}
// @ts-expect-error nobody to ask
await client.evaluate({ items: 'items.jsonl' })

const batch = client.batch(['One?', messages, { model: 'a/c', messages }], { common: { model: 'a/b' }, budget: '0.5' }, { progress: (counts) => console.log(counts.done) })
for await (const row of batch) console.log(row.text, row.exception?.kind, row.response?.choices[0]?.message.content)
console.log(batch.report?.answered, batch.report?.toText())
// @ts-expect-error one request is no batch
client.batch({ model: 'a/b', messages })

await client.feedback(fused.id, { right: true })
const differs: string[] = (replay((await client.rejudge(fused.report, 'Which?', { judge: 'a/c' })).report).report.earlier?.differs ?? []).map((d) => d.at)
// @ts-expect-error a report, not an answer
await client.rejudge(fused, 'Which?')
const whom: string = (await calibrate([{ prompt: 'How many?', gold: '4', answers: { 'a/b': '4' } }])).advice + (await calibrate(new URL('file:///a.jsonl'))).toText()
// @ts-expect-error an outcome says one of three things
await client.feedback(fused.id, { wrong: true })

try {
  await client.models.list()
} catch (error) {
  if (error instanceof RateLimitError) console.log(error.retry_after_ms, error.attempts?.length)
  else if (error instanceof InterfuseError && error.kind === 'budget_exceeded') console.log(error.cost_nanos)
  else throw error
}

const { rows } = await client.usage({ by: ['project', 'provider'], since: new Date() })
rows.map((row) => row.cost_usd)
for await (const record of await client.records({ since: '7d' })) console.log(record.provider, record.cost_nanos)
const csv: string = (await client.usage({ by: 'day', timeZone: 'Europe/Berlin' })).toCsv()
const written: number = (await client.ledger.exportFocus('october.csv', { version: '1.4' })).rows
const page: string = await client.usageHtml({ since: '30d' })
void [csv, written, page]
{
  await using short = new Interfuse()
  void short.providers()
  using soon = new Interfuse()
  await using chunks = await soon.chat.completions.create({ model: 'a/b', messages, stream: true })
  using same = await soon.fuse('Which?', { pool, stream: true })
  void [chunks, same]
}

const web: (request: Request) => Promise<Response> = handler(client, {
  authorize: async (request, context: { user: string }) => request.headers.has('authorization') && { tags: { user: context.user } },
})
createServer(nodeHandler(client, { bodyLimit: 1 << 20, authorize: (_, { socket }) => socket.remoteAddress === '::1' }))
void web
const provider: ProviderV3 = createInterfuse({ client })
const [spoken, vectors]: [LanguageModelV3, EmbeddingModelV3] = [interfuse('interfuse/merge'), interfuse.embeddingModel('a/b')]
const providerOptions = { interfuse: { fusion: { mode: 'merge', pool: ['a/b', 'c/d'] }, provider: { order: ['groq'] }, tags: { user: 'u' } } satisfies InterfuseOptions }
const six = await generateText({ model: interfuse('a/b'), prompt: 'Which?', providerOptions })
const seven = await generateText7({ model: createInterfuse({ tags: { project: 'chat' } })('a/b'), prompt: 'Which?', providerOptions })
const paid: string | undefined = (six.providerMetadata?.interfuse as InterfuseMetadata | undefined)?.cost_usd
await embed({ model: vectors, value: 'one' })
void [provider, spoken, seven.text, paid]
// @ts-expect-error no such mode
void ({ fusion: { mode: 'vote-twice' } } satisfies InterfuseOptions)
// @ts-expect-error a misspelt option
createInterfuse({ timeOut: 5 })

{
  const late = when({ model: 'm-a', last_role: 'user' }).then(failing(429, 'slow down', { retryAfter: 0 }), scripted('Bern.', { delay_ms: 5 }))
  await using up = await Upstream.start([late, embeddings([[0.5]])], { providers: ['a', 'b'], prices: { 'a/m-a': { input: '1' } } })
  const came: string | undefined = up.client({ maxRetries: 0, config: { pools: {} } }) && up.requests[0]?.model
  await using tape = await cassette('talk.json', { mode: 'replay', config: { providers: { openai: { apiKey: 'k' } } } })
  void [came, new Interfuse(tape.options), tape.unexpected.length]
  // @ts-expect-error a misspelt condition
  when({ modle: 'm' })
  // @ts-expect-error a step that there is not
  await Upstream.start({ steps: [{ sleep: 1 }] })
  // @ts-expect-error no such mode
  await cassette('talk.json', { mode: 'play' })
}

// @ts-expect-error a misspelt option
handler(client, { autorize: () => true })

// @ts-expect-error a misspelt field
await client.chat.completions.create({ model: 'a/b', messages, temprature: 1 })
// @ts-expect-error no messages
await client.chat.completions.create({ model: 'a/b' })
// @ts-expect-error nothing to embed
await client.embeddings.create({ model: 'a/b' })
// @ts-expect-error no such mode
await client.fuse('Which?', { pool, mode: 'vote-twice' })
// @ts-expect-error a field that is not there is not a string
const missing: string = answer.choises
// @ts-expect-error a fusion is no stream unless asked
for await (const event of await client.fuse('Which?', { pool })) void event

void [whom, differs, advice, text, cost, vector, tokens, scores, missing]
