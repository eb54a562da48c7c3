import type { CallCancelledError } from './errors.cjs'
import type { ParsedChatCompletion, ParsedChatCompletionMessage } from './structured.cjs'
import type { ChatCompletion, ChatCompletionChunk, TokenLogprob, Usage } from './types'

/** A called function's arguments, as far as they have come. */
export interface FunctionToolCallArguments {
  /** Name of the function. */
  name: string
  /** Place among the calls. */
  index: number
  /** All of them until now, as the model wrote them. */
  arguments: string
}

/** What listeners of a stream get, by the event's name. */
export interface ChatCompletionStreamEvents<Parsed = unknown> {
  /** The first chunk is there. */
  connect: []
  /** Every chunk as it came, and the answer as far as it has come, which grows with the stream. */
  chunk: [chunk: ChatCompletionChunk, snapshot: ChatCompletion]
  /** New text, and all text until now. */
  content: [delta: string, snapshot: string]
  /** The same; a text is read when it is whole. */
  'content.delta': [{ delta: string; snapshot: string; parsed: null }]
  /** The text is whole, and read by the schema. */
  'content.done': [{ content: string; parsed: Parsed | null }]
  /** New text of a refusal. */
  'refusal.delta': [{ delta: string; snapshot: string }]
  /** The refusal is whole. */
  'refusal.done': [{ refusal: string }]
  /** New text of a call's arguments; they are read when they are whole. */
  'tool_calls.function.arguments.delta': [FunctionToolCallArguments & { arguments_delta: string; parsed_arguments: null }]
  /** A call's arguments are whole, and read where the tool has a schema. */
  'tool_calls.function.arguments.done': [FunctionToolCallArguments & { parsed_arguments: unknown }]
  /** Log probabilities of new tokens, and of all until now. */
  'logprobs.content.delta': [{ content: TokenLogprob[]; snapshot: TokenLogprob[] }]
  /** Those of the whole text. */
  'logprobs.content.done': [{ content: TokenLogprob[] }]
  /** The same of a refusal. */
  'logprobs.refusal.delta': [{ refusal: TokenLogprob[]; snapshot: TokenLogprob[] }]
  /** The same of a refusal. */
  'logprobs.refusal.done': [{ refusal: TokenLogprob[] }]
  /** The message is whole. */
  message: [message: ParsedChatCompletionMessage<Parsed>]
  /** Its text. */
  finalContent: [content: string | null]
  /** The same as `message`. */
  finalMessage: [message: ParsedChatCompletionMessage<Parsed>]
  /** The answer is whole. */
  finalChatCompletion: [completion: ParsedChatCompletion<Parsed>]
  /** The stream failed. */
  error: [error: Error]
  /** The stream was aborted or left. */
  abort: [error: CallCancelledError]
  /** The last event, however it ended. */
  end: []
}

/** Gets what an event tells. */
type Listener<Parsed, Name extends keyof ChatCompletionStreamEvents> = (...told: ChatCompletionStreamEvents<Parsed>[Name]) => void

/** What an event tells first. */
type First<Told extends unknown[]> = Told extends [infer One, ...unknown[]] ? One : void

/**
 * A stream as events, as chunks, and as the whole answer at its end. It is sent when it is first looped over, listened to or waited
 * for. What does not fit the schema is not asked for again, since it has been shown. A stream that fails while nobody waits for it,
 * and nobody listens to `error` or `abort`, is an unhandled rejection.
 */
export class ChatCompletionStream<Parsed = null> implements AsyncIterable<ChatCompletionChunk> {
  private constructor()
  /** Chunks as they come; once. Leaving the loop early closes the connection. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ChatCompletionChunk>
  /** Calls `listener` whenever it happens. */
  on<Name extends keyof ChatCompletionStreamEvents>(name: Name, listener: Listener<Parsed, Name>): this
  /** Calls `listener` when it happens next. */
  once<Name extends keyof ChatCompletionStreamEvents>(name: Name, listener: Listener<Parsed, Name>): this
  /** Calls `listener` no more. */
  off<Name extends keyof ChatCompletionStreamEvents>(name: Name, listener: Listener<Parsed, Name>): this
  /** Resolves with what the event tells first when it happens next; rejects when the stream fails or ends before. */
  emitted<Name extends keyof ChatCompletionStreamEvents>(name: Name): Promise<First<ChatCompletionStreamEvents<Parsed>[Name]>>
  /** Resolves at the end of the stream. */
  done(): Promise<void>
  /** The whole answer, read; waits for the end. */
  finalChatCompletion(): Promise<ParsedChatCompletion<Parsed>>
  /** Its first message. */
  finalMessage(): Promise<ParsedChatCompletionMessage<Parsed>>
  /** The text of that. */
  finalContent(): Promise<string | null>
  /** Tokens, where the vendor told them (`stream_options: { include_usage: true }`). */
  totalUsage(): Promise<Usage | undefined>
  /** The answer as far as it has come. */
  readonly currentChatCompletionSnapshot: ChatCompletion
  /** Whether it is over, however it ended. */
  readonly ended: boolean
  /** Whether it was aborted or left. */
  readonly aborted: boolean
  /** Ends the stream now and closes its connection; who loops or waits gets a `CallCancelledError` (name `AbortError`). */
  abort(): void
  /** Aborting it is the same as `abort()`. */
  readonly controller: AbortController
  /** The chunks as lines of JSON, for a response of one's own server; cancelling it closes the connection. */
  toReadableStream(): ReadableStream<Uint8Array>
  /** The same as `abort()`. */
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}
