/// <reference lib="esnext.disposable" />
import type { InterfuseError } from './errors.cjs'
import type {
  BatchCounts,
  BatchOptions,
  BatchReport,
  BatchRow,
  ChatCompletion,
  ChatCompletionChunk,
  ChatRequest,
  Config,
  CredentialConfig,
  EmbeddingInput,
  EmbeddingRequest,
  EmbeddingResponse,
  Calibration,
  Evaluation,
  EvaluationDone,
  EvaluationProgress,
  EvaluationRequest,
  BudgetState,
  CostEstimate,
  Explanation,
  Feedback,
  Labelled,
  ExportFormat,
  Exported,
  FocusVersion,
  FuseRequest,
  Fused,
  FusionEvent,
  FusionReport,
  LedgerRecord,
  LoadedPrices,
  Message,
  ModelInfo,
  ProviderConfig,
  ProviderInfo,
  ReconcileOptions,
  Reconciliation,
  UsageReport,
} from './types'
import type {
  AnyFormat, Output, ParseBody, ParseOptions, ParsedBy, ParsedChatCompletion, RunToolsBody, RunToolsOptions, StandardSchema, ToolRun,
} from './structured.cjs'
import type { ChatCompletionStream } from './chat-stream.cjs'
import type * as errors from './errors.cjs'
import type * as typed from './typed-errors.cjs'

export * from './chat-stream.cjs'
export * from './errors.cjs'
export * from './structured.cjs'
export * from './typed-errors.cjs'
export type * from './types'

/** Gives a key; asked before every request, so that it may rotate. */
export type KeyFunction = () => string | PromiseLike<string>

/** Keys of an AWS account, as AWS's own credential providers give them. */
export interface AwsCredentialIdentity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  readonly expiration?: Date | undefined
}

/** Gives keys of an AWS account, such as `fromNodeProviderChain()`; asked before every request. */
export type AwsCredentialProvider = () => AwsCredentialIdentity | PromiseLike<AwsCredentialIdentity>

/** One backend; its key may come from a function. */
export interface ProviderOptions extends Omit<ProviderConfig, 'api_key' | 'credentials'> {
  /** The key itself, or a function that gives it. */
  apiKey?: string | KeyFunction | null
  /** The same. */
  api_key?: string | KeyFunction | null
  /** The same as `base_url`. */
  baseURL?: string | null
  /** Who calls, or a function that gives keys of an AWS account. */
  credentials?: CredentialConfig | AwsCredentialProvider | (() => string | Promise<string>) | null
}

/** The configuration, in which keys may come from functions. */
export interface ClientConfig extends Omit<Config, 'providers'> {
  /** Backends by name. */
  providers?: { readonly [name: string]: ProviderOptions }
}

/** How a client is made. Everything is optional. */
export interface ClientOptions {
  /**
   * The configuration: an object, or the path of a TOML or JSON file. Without it the file that `INTERFUSE_CONFIG` names;
   * without that every vendor's usual key variables, read now.
   */
  config?: ClientConfig | string | URL
  /** Backends, laid over those of the configuration. */
  providers?: { readonly [name: string]: ProviderOptions }
  /** The backend of every request that names none. */
  provider?: string
  /** Key for `provider` or `baseURL`, or a function that gives it and is asked before every request; never sent elsewhere. */
  apiKey?: string | KeyFunction
  /** Any OpenAI-compatible server (`http://localhost:8000/v1`); serves every request that names no provider. */
  baseURL?: string
  /** Milliseconds for one whole call, retries included. */
  timeout?: number
  /** Retries after the first attempt, per target. */
  maxRetries?: number
  /** Headers added to every request. */
  defaultHeaders?: Record<string, string>
  /** Labels for the ledger (`{ project: 'search' }`). */
  tags?: Record<string, string>
}

/** Options of one call. */
export interface CallOptions {
  /** Aborting it closes the connection and rejects with `CallCancelledError` (name `AbortError`). */
  signal?: AbortSignal | null
  /** Milliseconds for the whole call, retries included. */
  timeout?: number
  /** Retries after the first attempt, per target. */
  maxRetries?: number
  /** Headers added to the vendor's request. */
  headers?: Record<string, string>
}

/** A chat request as `create` takes it. */
export type ChatBody = ChatRequest & { messages: readonly Message[] }

/** The vendor's id of the request, under OpenAI's name; not enumerable. */
export interface WithRequestId {
  readonly _request_id?: string
}

/** A promised answer, with OpenAI's ways to the response around it. */
export interface APIPromise<Answer> extends Promise<Answer> {
  /** The response as far as it is kept (the request's id among its headers), with the answer as its body, also streamed. */
  asResponse(): Promise<Response>
  /** The answer beside the same; `request_id` is the vendor's, and null where none is known yet. */
  withResponse(): Promise<{ data: Answer; response: Response; request_id: string | null }>
}

/** `client.chat` and `client.chat.completions.create`. */
export interface CreateChat {
  /**
   * One answer, or with `stream: true` its chunks. With a schema as `response_format` it is the same as `parse`; streamed, the
   * schema is only asked for.
   */
  <Schema extends StandardSchema>(
    body: ParseBody<Schema> & { response_format: Schema },
    options?: ParseOptions,
  ): APIPromise<ParsedChatCompletion<Output<Schema>> & WithRequestId>
  (
    body: Omit<ChatBody, 'response_format'> & { response_format: StandardSchema; stream: true },
    options?: CallOptions,
  ): APIPromise<Stream<ChatCompletionChunk>>
  (body: ChatBody & { stream?: false | null }, options?: CallOptions): APIPromise<ChatCompletion & WithRequestId>
  (body: ChatBody & { stream: true }, options?: CallOptions): APIPromise<Stream<ChatCompletionChunk>>
  (body: ChatBody, options?: CallOptions): APIPromise<(ChatCompletion & WithRequestId) | Stream<ChatCompletionChunk>>
}

/** A request for embeddings as `create` takes it. */
export type EmbeddingBody = EmbeddingRequest & { input: EmbeddingInput }

/** Of which attempts. */
export interface LedgerOptions {
  /**
   * Only attempts since: a date, milliseconds since 1970-01-01 UTC, or text: `'2026-10-01'`, `'2026-10-01T16:30'`, `'7d'` ago.
   */
  since?: Date | number | string
  /** Only attempts before; a date alone is its first instant. */
  until?: Date | number | string
  /** Only attempts with these values. */
  where?: Record<string, string>
  /** Whose hours, days, weeks and months are meant (`'Europe/Berlin'`); UTC by default. */
  timeZone?: string
}

/** A question to the ledger. */
export interface UsageOptions extends LedgerOptions {
  /**
   * One row for each value of these together; nothing means one row. `provider`, `model`, `model_sent`, `model_served`,
   * `served_by`, `endpoint`, `key`, `purpose`, `kind`, `outcome`, `error`, `confidence`, `run_id`, `hour`, `day`, `week`,
   * `month`, or the name of a tag (`tag:day` where a name hides it).
   */
  by?: string | readonly string[]
  /** Whether rows tell how long answers took. */
  latencies?: boolean
}

/** What calls used and cost. */
export interface Sums extends UsageReport {
  /** CSV. A text that begins like a formula gets an apostrophe before it. */
  toCsv(): string
}

/** What leaves the ledger for other programs. Files are there whole or, after an error, as they were before. */
export interface Ledger {
  /** Charges in the FinOps Open Cost and Usage Specification (FOCUS) 1.4, or another version, as a CSV file. */
  exportFocus(path: string | URL, options?: LedgerOptions & { version?: FocusVersion }): Promise<Exported>
  /** Sums, records, charges or a page into a file. */
  export(
    options: UsageOptions & { format: ExportFormat; path: string | URL; version?: FocusVersion },
  ): Promise<Exported>
  /** The same as text. */
  export(options: UsageOptions & { format: ExportFormat; path?: undefined; version?: FocusVersion }): Promise<string>
}

/** An evaluation as `evaluate` takes it; files may also be given as `URL`. */
export interface EvaluationBody extends Omit<EvaluationRequest, 'items' | 'checkpoint' | 'report'> {
  /** The questions, or the file that has one a line, as JSON. */
  items: EvaluationRequest['items'] | URL
  /** A file to go on from: what stands in it is not asked again. */
  checkpoint?: string | URL | null
  /** Where a page is written. */
  report?: string | URL | null
}

/** What an evaluation found, also for people. */
export interface Evaluated extends Evaluation {
  /** Tables for a terminal of `width` columns, 100 by default. */
  toText(options?: { width?: number; color?: boolean }): string
  /** A page that needs no network and runs no script. */
  toHtml(): string
}

/** What a streamed evaluation tells: how far it is, and at its end what it found. */
export type EvaluatingEvent = EvaluationProgress | (Omit<EvaluationDone, 'result'> & { result: Evaluated })

/** One request of a batch: what the user says, the conversation, or a request, whose gaps `common` fills. */
export type BatchItem = string | readonly Message[] | ChatRequest

/** How a batch is run; the file may also be given as `URL`. */
export interface BatchBody extends Omit<BatchOptions, 'checkpoint'> {
  /** A file to go on from: what stands in it is not asked again, also after a crash. */
  checkpoint?: string | URL | null
}

/** Options of a batch; `timeout`, `maxRetries` and `headers` are those of each request. */
export interface BatchCallOptions extends CallOptions {
  /** Told how far it is, at most ten times a second. */
  progress?: (counts: BatchCounts) => void
}

/** What became of one request: `response` or `error` is there. */
export interface BatchedRow extends BatchRow {
  /** Text of the answer's first choice; empty when there is none. */
  readonly text: string
  /** The error as the same call by itself would have thrown it. */
  readonly exception: InterfuseError | null
}

/** Rows as they are done. Leaving the loop early cancels what is under way; what is in the checkpoint stays. */
export interface Batch extends AsyncIterable<BatchedRow> {
  /** What it all came to; null until the last row is read. */
  readonly report: (BatchReport & { toText(): string }) | null
  /** How far it was a moment ago. */
  readonly progress: BatchCounts | null
  [Symbol.asyncIterator](): AsyncIterator<BatchedRow>
  /** The next row. */
  next(): Promise<IteratorResult<BatchedRow, undefined>>
  /** Cancels what is under way. */
  return(): Promise<IteratorResult<BatchedRow, undefined>>
  /** The rows that were not read yet. */
  toArray(): Promise<BatchedRow[]>
  [Symbol.asyncDispose](): Promise<void>
}

/** What a calibration found, also for people. */
export interface Calibrated extends Calibration {
  /** Tables, advice, and the pool as lines for a configuration. */
  toText(): string
}

/**
 * From answers to questions whose right answer is known, as a list or a file with one a line: how good each model and judge is,
 * and whom to ask. Asks nobody.
 */
export function calibrate(items: readonly Labelled[] | string | URL): Promise<Calibrated>

/**
 * Makes a fusion's decision again from what its report holds; nobody is asked. `report.earlier.differs` tells where it comes to
 * something else than the report says, and is not there when it is the same.
 */
export function replay(report: FusionReport): Fused

/** A vendor's report. */
export type VendorFile = URL | string | Uint8Array | { name: string; content: string | Uint8Array }

/** This package's version. */
export const VERSION: string

/** One API over every inference provider, and fusion of their answers. */
export class Interfuse {
  /** Errors under the names by which OpenAI's client has them, too: `error instanceof OpenAI.APIError`. */
  static readonly APIError: typeof errors.APIError
  static readonly APIConnectionError: typeof errors.APIConnectionError
  static readonly APIConnectionTimeoutError: typeof errors.APITimeoutError
  static readonly APIUserAbortError: typeof errors.CallCancelledError
  static readonly AuthenticationError: typeof errors.AuthenticationError
  static readonly BadRequestError: typeof errors.BadRequestError
  static readonly ConflictError: typeof typed.ConflictError
  static readonly InternalServerError: typeof errors.InternalServerError
  static readonly NotFoundError: typeof errors.NotFoundError
  static readonly PermissionDeniedError: typeof errors.PermissionDeniedError
  static readonly RateLimitError: typeof errors.RateLimitError
  static readonly UnprocessableEntityError: typeof typed.UnprocessableEntityError

  /**
   * Does not touch the network. Throws `ConfigError` naming the place of a fault, and `StorageError` for a ledger that cannot
   * be opened (`config: { ledger: { path: 'calls.db' } }` keeps it in a file).
   */
  constructor(options?: ClientOptions)

  /** Calling it is short for `chat.completions.create`. */
  readonly chat: CreateChat & {
    readonly completions: {
      /** One answer, or with `stream: true` its chunks. */
      create: CreateChat

      /**
       * One answer, read by the schema in `response_format`: `choices[0].message.parsed`; arguments of tools of `standardFunction`
       * are in `function.parsed_arguments`. An answer that does not fit is sent back with what is wrong.
       *
       * Rejects with `SchemaError` for a schema that the strict subset of JSON Schema cannot hold, `AnswerFormatError` when no
       * answer fits, `LengthFinishReasonError` and `ContentFilterFinishReasonError` for one that was cut off.
       */
      parse<Format extends AnyFormat = undefined>(
        body: ParseBody<Format>,
        options?: ParseOptions,
      ): APIPromise<ParsedChatCompletion<ParsedBy<Format>> & WithRequestId>

      /**
       * A stream as events, as chunks and as the whole answer at its end, which is read as by `parse`:
       * `client.chat.completions.stream(body).on('content', (delta) => ...).finalChatCompletion()`.
       */
      stream<Format extends AnyFormat = undefined>(
        body: Omit<ParseBody<Format>, 'stream'> & { stream?: boolean | null },
        options?: CallOptions,
      ): ChatCompletionStream<ParsedBy<Format>>
    }
  }

  /**
   * A client with other defaults, which shares connections and ledger with this one; headers and tags are added to its own.
   * Throws `ConfigError` for what makes another client (`apiKey`, `baseURL`, `config`, `providers`).
   */
  withOptions(options: Pick<ClientOptions, 'provider' | 'timeout' | 'maxRetries' | 'defaultHeaders' | 'tags'>): Interfuse

  /**
   * Asks a model that may call functions, calls them and tells it what came, until it answers without calling any. What a function
   * throws is told to the model, too. The functions of one step run at the same time.
   *
   * Rejects with `MaxStepsError` when the model still calls functions after the last step, and `BudgetExceededError` when another
   * step might cost more than is left; these, and any other failure on the way, have what was done in `run`.
   */
  runTools<Format extends AnyFormat = undefined>(
    body: RunToolsBody<Format> & { messages: readonly Message[] },
    options?: RunToolsOptions,
  ): Promise<ToolRun<ParsedBy<Format>>>
  runTools<Format extends AnyFormat = undefined>(
    prompt: string,
    body: RunToolsBody<Format>,
    options?: RunToolsOptions,
  ): Promise<ToolRun<ParsedBy<Format>>>

  readonly embeddings: {
    /** One embedding per input, in their order. */
    create(body: EmbeddingBody, options?: CallOptions): APIPromise<EmbeddingResponse & WithRequestId>
  }

  /** Asks a pool of models and combines their answers, or with `stream: true` tells how it goes on. */
  fuse(body: FuseRequest & { stream: true }, options?: CallOptions): Promise<Stream<FusionEvent>>
  fuse(body: FuseRequest & { stream?: false | null }, options?: CallOptions): Promise<Fused>
  fuse(prompt: string, body: FuseRequest & { stream: true }, options?: CallOptions): Promise<Stream<FusionEvent>>
  fuse(prompt: string, body?: FuseRequest & { stream?: false | null }, options?: CallOptions): Promise<Fused>

  /** The same as `fuse` with `stream: true`; the last event, `run_done`, has the result. */
  fuseStream(body: FuseRequest, options?: CallOptions): Promise<Stream<FusionEvent>>
  fuseStream(prompt: string, body?: FuseRequest, options?: CallOptions): Promise<Stream<FusionEvent>>

  /**
   * Asks models and fusions the same questions and tells what each is worth: accuracy with its interval, cost, latency, calls,
   * wins and losses beside the best single model, and what to use. With a `checkpoint` it goes on where it was interrupted.
   * `timeout` is that of each answer. With `stream: true` it tells how far it is; the last event, `done`, has the result.
   */
  evaluate(body: EvaluationBody & { stream?: false | null }, options?: CallOptions): Promise<Evaluated>
  evaluate(body: EvaluationBody & { stream: true }, options?: CallOptions): Promise<Stream<EvaluatingEvent>>

  /**
   * Answers many requests, a few at a time: `for await (const row of client.batch(prompts, { common: { model } }))`. They are
   * pulled as there is room, so that there may be any number. `common` is what they do not say themselves. No request fails the
   * batch. With a `budget` (USD, `'2.50'`) the most that an attempt may cost is held before it is made, and rows that do not fit
   * are not asked; with a `checkpoint` it goes on where it was interrupted.
   */
  batch(
    requests: Iterable<BatchItem> | AsyncIterable<BatchItem>,
    body?: BatchBody,
    options?: BatchCallOptions,
  ): Batch

  /**
   * Combines the answers that a fusion's report holds once more: with another judge, in another mode or by other priors. The body
   * holds the question; its `pool` may name some of the report's members. No member is asked, so that only judges cost anything;
   * a debate, which would ask them, is refused. `replay` makes the same decision again instead.
   */
  rejudge(report: FusionReport, body: FuseRequest, options?: CallOptions): Promise<Fused>
  rejudge(report: FusionReport, prompt: string, body?: FuseRequest, options?: CallOptions): Promise<Fused>

  /**
   * Tells what became of a fusion (`runId` is the result's `id`), which moves the chances to be right that its members and its
   * judge are taken to have in the fusions that follow: of this client, or with `fusion: { memory: 'file.json' }` in the
   * configuration of every client that names the file. A run counts once.
   */
  feedback(runId: string, outcome: Feedback): Promise<void>

  /**
   * How the backend of a chat would be chosen now: who is considered, who is left out and why, in which order. Sends nothing.
   * When nobody is left, `refused` is the error that a call would end with.
   */
  explain(body: ChatBody): Promise<Explanation>

  /**
   * What a request may cost: hardly less, likely, at most. Sends nothing. Takes what `create` or `fuse` takes; of a chat it is
   * told for every place it may go to, of a fusion stage by stage.
   */
  estimate(body: ChatBody | FuseRequest): Promise<CostEstimate>
  estimate(prompt: string, body?: FuseRequest): Promise<CostEstimate>

  /** Where the configured budgets stand: spent, held for attempts under way, left. */
  budgets(): Promise<BudgetState[]>

  /** What this client's calls used and cost; with a ledger in a file, what everybody's did who books there. */
  usage(options?: UsageOptions): Promise<Sums>

  /** The ledger's records, oldest first: one for each attempt, whatever became of it. */
  records(options?: LedgerOptions & { signal?: AbortSignal | null }): Promise<Stream<LedgerRecord>>

  /** A page for people: totals, charts and tables in one HTML file that needs no network and runs no script. */
  usageHtml(options?: LedgerOptions & { path?: undefined }): Promise<string>
  /** The same into a file. */
  usageHtml(options: LedgerOptions & { path: string | URL }): Promise<Exported>

  readonly ledger: Ledger

  /**
   * Takes the prices of a published list, given as text, as bytes, or as the `URL` of a file: LiteLLM's map, models.dev's
   * `api.json`, the list of models of OpenRouter or of Hugging Face's router, or genai-prices' `data.json`. They hold for
   * calls that begin from now on; configured prices outrank them, and they outrank the catalogue's.
   */
  loadPrices(list: string | Uint8Array | URL): Promise<LoadedPrices>

  /**
   * Compares vendors' own reports with the ledger and says why they differ: costs and usage of OpenAI, usage and cost report of
   * Anthropic, activity and generations of OpenRouter, usage by resource group of Hugging Face, AWS CUR 2.0, and FOCUS of AWS,
   * Azure and others, seen from their shape. Reports are given as the `URL` of a file, as text or as bytes, or with a name; those
   * of one vendor together. `post: true` posts the differences as corrections, which `usage` shows beside the cost.
   */
  reconcile(reports: VendorFile | readonly VendorFile[], options?: ReconcileOptions): Promise<Reconciliation>

  readonly models: {
    /** Models of the catalogue, with who serves them at what price. Asks no vendor. */
    list(): Promise<ModelInfo[]>
  }

  /**
   * Stands in for `fetch` in OpenAI's own client, `new OpenAI({ fetch: client.fetch })`, and in what is built on it: chat
   * completions, embeddings and the list of models are answered in this process, through interfuse, with this client's keys.
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>

  /** Backends, with whether a key was found and where; never the key. */
  providers(): Promise<ProviderInfo[]>

  /**
   * Resolves when everything booked so far is in the ledger's file for good, which takes milliseconds as a rule; rejects with
   * `StorageError` when something could not be written. A ledger in memory has nothing to do. Disposing of the client and
   * the end of the process do the same.
   */
  flush(): Promise<void>

  /** Ends the use of this client; later calls reject with `MisuseError`. Calls in flight are not touched. */
  close(): void

  /** The same as `close()`. */
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A fused answer (of `fuse`, or of the event `run_done`) as one HTML page for people: the answer, who said what, how alike it
 * is, why it was chosen, the course of the calls, the cost. It needs no network and runs no script.
 */
export function fusedHtml(fused: Fused): string

/** Chunks or events as they come; read once. Leaving the loop early closes the connection. */
export class Stream<Item> implements AsyncIterable<Item> {
  private constructor()
  [Symbol.asyncIterator](): AsyncIterableIterator<Item>
  /** The next item. */
  next(): Promise<IteratorResult<Item, undefined>>
  /** Ends the stream and closes its connection; what had not been read is dropped. */
  return(): Promise<IteratorResult<Item, undefined>>
  /** Ends the stream now, quietly: a loop over it is left, a waiting `next()` is done. */
  abort(): void
  /** Aborting it is the same as `abort()`. */
  readonly controller: AbortController
  /** Two streams of the same items, each read at its own speed; what one has not read yet is kept for it. */
  tee(): [Stream<Item>, Stream<Item>]
  /** The items as lines of JSON, for a response of one's own server; cancelling it closes the connection. */
  toReadableStream(): ReadableStream<Uint8Array>
  /** The items of `toReadableStream()`, of this package or of OpenAI's, at the other end. Aborting `controller` ends it quietly. */
  static fromReadableStream<Item>(readable: ReadableStream, controller?: AbortController): Stream<Item>
  /**
   * The items as a response of server-sent events, as OpenAI sends them, with `[DONE]` at the end; an error is the last event.
   * Cancelling its body closes the connection.
   */
  toResponse(init?: ResponseInit): Response
  /** The same as `abort()`. */
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}
