/// <reference lib="esnext.disposable" />
import type { ClientConfig, ClientOptions, Interfuse } from './index.cjs'
import type { Config, Price } from './types'

/** Conditions on a request; all that are given must hold. */
export interface When {
  /** Name of the provider that was asked. */
  provider?: string
  /** Exact method. */
  method?: string
  /** Exact path, without the query (`/v1/chat/completions`). */
  path?: string
  /** How the path ends. */
  path_ends?: string
  /** `model` of the body. */
  model?: string
  /** Exact header values, names in any case. */
  header?: Record<string, string>
  /** A part of the body: objects may have more keys, everything else is equal. */
  body?: unknown
  /** Text that occurs in the body as it was sent. */
  body_contains?: string
  /** `role` of the last of the body's messages. */
  last_role?: string
}

/** A tool call of the scripted model. */
export interface ToolCall {
  /** Name of the function. */
  name: string
  /** Arguments; text is sent as it is (to script a malformed one). */
  arguments: unknown
  /** Identifier; `call_<position>` by default. */
  id?: string
}

/**
 * One step of an answer written by hand: sends text, waits, holds the connection until the client leaves, resets it, closes it.
 */
export type Step = { send: string } | { delay_ms: number } | { stall: boolean } | { reset: boolean } | { close: boolean }

/** Something that happens in the midst of an answer; of a whole one at the same share of its bytes. */
export interface Break {
  /** After this many words. */
  after: number
  /** This many events of a stream are then left out. */
  skip?: number
  /** What happens; the answer goes on after it unless it ends the connection. */
  then?: readonly Step[]
}

/** Status, headers and times of an answer. */
export interface Head {
  /** HTTP status; 200 by default. */
  status?: number
  /** Headers; they replace what the server would write. */
  headers?: Record<string, string>
  /** Milliseconds before the head is sent. */
  delay_ms?: number
  /** Milliseconds between the events of a stream. */
  chunk_delay_ms?: number
  /** Closes the connection after so many bytes of the body. */
  cut_after?: number
}

/** What a model says beside its text. */
export interface Said extends Head {
  /** Tool calls of the model. */
  tool_calls?: readonly ToolCall[]
  /** `stop` or `tool_calls` by default. */
  finish_reason?: string
  /** Fields laid over the counted ones (a word is a token); `false` leaves usage out. */
  usage?: Record<string, unknown> | boolean
  /** What happens in the midst of the text. */
  breaks?: Break
  /** Whether a stream ends with `data: [DONE]`; it does by default. */
  done?: boolean
}

/** One answer, with at most one body: `answer` and `tool_calls`, `embeddings`, `json`, `body`, `sse` or `steps`. */
export interface Response extends Said {
  /** A whole chat completion with this text; streamed word by word if the request asks for it. */
  answer?: string
  /** One vector for each input; the last repeats. */
  embeddings?: readonly (readonly number[])[]
  /** A JSON document. */
  json?: unknown
  /** Text. */
  body?: string
  /** Events: text or JSON becomes `data:`, an object of only `event`, `data` and `id` those lines. */
  sse?: readonly unknown[]
  /** What happens after the head, by hand. */
  steps?: readonly Step[]
}

/** Requests that look like `when` get the answers of `then` in order; the last one repeats. */
export interface Route {
  when?: When
  then: Response | readonly Response[]
}

/** What `when` gives. */
export interface Condition {
  /** The answers to such requests, in order; the last one repeats. */
  then(...responses: Response[]): Route
}

/** Requests that look like this: `when({ model: 'm-a' }).then(error(429), answer('Bern.'))`. The first that holds answers. */
export function when(conditions: When): Condition

/** A model's answer, whole or streamed as the request asks. */
export function answer(text: string, more?: Said): Response

/** A vendor's error in OpenAI's form. `retryAfter`: seconds, told in that header. */
export function error(
  status: number,
  message?: string,
  more?: { code?: string | null; retryAfter?: number; headers?: Record<string, string>; delay_ms?: number },
): Response

/** One vector for each input of the request; the last repeats. */
export function embeddings(vectors: readonly (readonly number[])[], more?: Head): Response

/** The connection is reset before anything of an answer came. */
export function reset(): Response

/** A request that came. */
export interface Request {
  /** Name of the provider that was asked. */
  readonly provider: string
  readonly method: string
  /** Path as at a vendor: `/v1/chat/completions`. */
  readonly path: string
  /** By names in small letters; credentials are scrubbed. */
  readonly headers: { readonly [name: string]: string }
  /** The JSON document, or text that is none. */
  readonly body: any
  /** The model that was asked for. */
  readonly model?: string
  /** Position of the route that took it, bare answers last; null if none did. */
  readonly route: number | null
}

/** How an upstream is reached. */
export interface UpstreamOptions {
  /**
   * Names under which the server is reached; `up` by default. One of the catalogue's keeps what the catalogue says of it, also
   * which protocol it speaks; `answer` is for OpenAI's chat completions.
   */
  providers?: readonly string[]
  /** USD per million tokens, by `provider/model`. */
  prices?: Record<string, Price>
}

/** A server on loopback that answers from a script, in OpenAI's form. Close it, or the process stays. */
export class Upstream {
  private constructor()
  /**
   * Starts it with routes (`when({ model: 'm-a' }).then(...)`), of which the first that holds answers, and bare answers
   * (`answer('Bern.')`), which every other request gets in order; the last one repeats. Rejects with ConfigError, which names what
   * in the script is not understood.
   */
  static start(script: Route | Response | readonly (Route | Response)[], options?: UpstreamOptions): Promise<Upstream>
  /** Address of the first provider. */
  readonly baseURL: string
  /** A client's configuration in which every provider leads here. Retries do not wait, unless the answer says how long. */
  readonly config: Config
  /** What came so far, in order. */
  readonly requests: readonly Request[]
  /** A client of this server; `config` is laid over the one above, section by section. */
  client(options?: Omit<ClientOptions, 'config'> & { config?: ClientConfig }): Interfuse
  /** Ends the server and every connection. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How a cassette is used. */
export interface CassetteOptions {
  /**
   * `auto` (default) records where there is no file and replays it where there is one; `record` replaces it; `replay` needs it.
   */
  mode?: 'auto' | 'record' | 'replay'
  /**
   * The client's configuration. Recorded are its providers, and those of the catalogue that need no key or have one in the
   * environment. By default only the latter; `INTERFUSE_CONFIG` is not read.
   */
  config?: ClientConfig
}

/** A recording, being made or played. */
export interface Cassette {
  /** What it does. */
  readonly mode: 'record' | 'replay'
  /** Options of a client whose providers are recorded or replayed: `new Interfuse(tape.options)`. */
  readonly options: { config: ClientConfig }
  /** Requests that a replay did not know, in words. */
  readonly unexpected: readonly string[]
  /** Ends the server and, when recording, writes the file. */
  close(): Promise<void>
  /** Ends the server and writes nothing. */
  discard(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Records what providers answer, and later gives it again without network and keys.
 *
 * The file is written whole when the cassette is closed, and holds no credential: no header of a request is kept, few of an answer,
 * and where a key (of 8 characters or more) is repeated in a text, it is taken out. A replay is strict: every request is answered
 * once per recording, whatever the order; one that is not there fails with NotFoundError, whose `code` is `not_in_cassette`.
 * Requests signed for an address (AWS keys) cannot be recorded; bearer tokens can. Rejects with ConfigError for a file that is no
 * cassette, or cannot be found or made.
 */
export function cassette(path: string | URL, options?: CassetteOptions): Promise<Cassette>
