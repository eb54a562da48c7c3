// What a user writes in TypeScript; checked, not run. Each `@ts-expect-error` is a mistake that must be found.
import { createServer } from 'node:http'

import type { EmbeddingModelV3, LanguageModelV3, ProviderV3 } from '@ai-sdk/provider'
import { trace } from '@opentelemetry/api'
import { embed, generateText } from 'ai'
import { generateText as generateText7 } from 'ai-7'
import { type as ark } from 'arktype'
import { AnswerFormatError, Interfuse, InterfuseError, RateLimitError, Stream, VERSION, calibrate, replay, standardFunction, standardResponseFormat } from 'interfuse'
import { createInterfuse, interfuse } from 'interfuse/ai'
import type { InterfuseMetadata, InterfuseOptions } from 'interfuse/ai'
import { instrument } from 'interfuse/otel'
import { handler, nodeHandler } from 'interfuse/serve'
import { answer as scripted, cassette, embeddings, error as failing, Upstream, when } from 'interfuse/testing'
import type { ChatCompletionChunk, Config, FusionEvent, Message, Pool } from 'interfuse'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import * as v from 'valibot'
import { z } from 'zod'

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

const short: string | null = (await client.withOptions({ timeout: 5, tags: { a: 'b' } }).chat({ model: 'a/b', messages })).choices[0]!.message.content
const around = await client.chat.completions.create({ model: 'a/b', messages }).withResponse()
const id: string | null | undefined = around.request_id ?? around.data._request_id ?? around.response.headers.get('x-request-id')
// @ts-expect-error a key makes another client
client.withOptions({ apiKey: 'k' })
void [short, id, VERSION]

const stream = await client.chat.completions.create({ model: 'a/b', messages, stream: true }, { signal: AbortSignal.timeout(1000) })
const checked: Stream<ChatCompletionChunk> = stream
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '')
checked.controller.abort()
const [mine, yours]: [Stream<ChatCompletionChunk>, Stream<ChatCompletionChunk>] = checked.tee()
const answered: Response = mine.toResponse({ headers: { 'x-mine': '1' } })
const returned = Stream.fromReadableStream<ChatCompletionChunk>(yours.toReadableStream(), new AbortController())
for await (const chunk of returned) void [chunk.choices, answered]

const Place = z.object({ city: z.string(), people: z.string().transform(Number) })
const read = await client.chat.completions.parse({ model: 'a/b', messages, response_format: Place, max_cost_usd: '0.05' }, { maxReasks: 2 })
const place: { city: string; people: number } | null = read.choices[0]!.message.parsed
const created = await client.chat.completions.create({ model: 'a/b', messages, response_format: ark({ city: 'string' }) })
const city: string | undefined = created.choices[0]!.message.parsed?.city
const Trip = standardResponseFormat(v.object({ by: v.picklist(['rail', 'road']) }), 'trip', { schema: { type: 'object' } })
const by: 'rail' | 'road' | undefined = (await client.chat.completions.parse({ model: 'a/b', messages, response_format: Trip })).choices[0]!.message.parsed?.by
const helped = await client.chat.completions.parse({ model: 'a/b', messages, response_format: zodResponseFormat(Place, 'place') })
const people: number | undefined = helped.choices[0]!.message.parsed?.people
const nothing: null = (await client.chat.completions.parse({ model: 'a/b', messages, response_format: { type: 'json_object' } })).choices[0]!.message.parsed
for await (const chunk of await client.chat.completions.create({ model: 'a/b', messages, response_format: Place, stream: true })) void chunk.choices
messages.push(read.choices[0]!.message)
// @ts-expect-error people became a number
const wrongly: string | undefined = read.choices[0]!.message.parsed?.people
// @ts-expect-error a misspelt field
await client.chat.completions.parse({ model: 'a/b', messages, response_format: Place, temprature: 1 })
// @ts-expect-error parse gives whole answers
await client.chat.completions.parse({ model: 'a/b', messages, response_format: Place, stream: true })
// @ts-expect-error no schema
await client.chat.completions.parse({ model: 'a/b', messages, response_format: 'Place' })

const weather = standardFunction({ name: 'weather', parameters: Place, function: async ({ city, people }, { signal }) => fetch(city + people.toFixed(), { signal: signal ?? null }) })
const run = await client.runTools('Will it rain?', { model: 'a/b', tools: [weather], response_format: ark({ rain: 'boolean' }) }, { maxSteps: 3 })
const rain: boolean | undefined = run.parsed?.rain
const helper = zodFunction({ name: 'place', parameters: Place, function: ({ city }) => city })
const again = await client.runTools({ model: 'a/b', messages: run.messages, tools: [helper, { type: 'function', function: { name: 'f', function: (text: string) => text } }] })
const spent: string | undefined = again.cost_usd
// @ts-expect-error nothing to call
await client.runTools('Will it rain?', { model: 'a/b', tools: [standardFunction({ name: 'weather', parameters: Place })] })
// @ts-expect-error the schema has no such argument
standardFunction({ name: 'weather', parameters: Place, function: ({ town }) => town })
const events = client.chat.completions.stream({ model: 'a/b', messages, response_format: Place })
events.on('content', (delta) => delta.trim()).on('content.done', ({ parsed }) => parsed?.people.toFixed()).once('chunk', (chunk, { choices }) => [chunk.id, choices])
for await (const chunk of events) void chunk.choices
const final: number | undefined = (await events.finalChatCompletion()).choices[0]!.message.parsed?.people
const firstDelta: string = await client.chat.completions.stream({ model: 'a/b', messages }).emitted('content')
// @ts-expect-error no such event
events.on('contents', () => undefined)
void [final, firstDelta]
void [place, city, by, people, nothing, wrongly, rain, spent]

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
  if (error instanceof AnswerFormatError) console.log(error.problems, error.completion.id, error.run?.steps)
  else if (error instanceof Interfuse.NotFoundError) console.log(error.requestID, error.type)
  else if (error instanceof RateLimitError) console.log(error.retry_after_ms, error.attempts?.length)
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

const seen: Interfuse = instrument(new Interfuse(), { tracerProvider: trace })
// @ts-expect-error a misspelt option
instrument(seen, { traceProvider: trace })

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
