import type { CallOptions } from './index.cjs'
import type { AssistantMessage, ChatCompletion, ChatRequest, Choice, FunctionCall, FunctionTool, Message, ResponseFormat, Tool, ToolCall } from './types'

/** A schema of zod, valibot, arktype or any other library that has the Standard Schema interface (https://standardschema.dev). */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
    readonly jsonSchema?: { readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown> } | undefined
  }
}

/** What a schema says of a value. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined }[] }

/** What a schema reads a value into. */
export type Output<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['output']

declare const parsed: unique symbol
declare const runs: unique symbol

/** A format whose answers `parse` and `stream` read into `Parsed`. */
export interface StandardResponseFormat<Parsed> extends ResponseFormat {
  readonly [parsed]: Parsed
}

/** A format of OpenAI's helpers, such as `zodResponseFormat`. */
export interface HelperFormat {
  type: 'json_schema'
  $parseRaw(text: string): unknown
}

/** What may be asked for and read: a schema, `standardResponseFormat`, a format of OpenAI's helpers, or one as it is sent. */
export type AnyFormat = StandardSchema | HelperFormat | ResponseFormat | null | undefined

/** What answers of a format are read into: `null` for one that nothing reads. */
export type ParsedBy<Format> = Format extends StandardSchema
  ? Output<Format>
  : Format extends StandardResponseFormat<infer Parsed>
    ? Parsed
    : Format extends { $parseRaw(text: string): infer Parsed }
      ? Parsed
      : null

/** A called function with its arguments read by the tool's schema. */
export interface ParsedFunction extends FunctionCall {
  /** The arguments; null where the tool has no schema. Not sent when the message is put back into a conversation. */
  parsed_arguments: unknown
}

/** A tool call with its arguments read. */
export interface ParsedFunctionToolCall extends ToolCall {
  /** The function and its arguments. */
  function?: ParsedFunction
}

/** A message with its text read by the schema. */
export interface ParsedChatCompletionMessage<Parsed> extends AssistantMessage {
  /** What the text was read into; null where the model refused or called tools. Not sent when the message is put back into a conversation. */
  parsed: Parsed | null
  /** Tool calls, in order. */
  tool_calls?: ParsedFunctionToolCall[]
}

/** One answer, read. */
export interface ParsedChoice<Parsed> extends Choice {
  /** The message. */
  message: ParsedChatCompletionMessage<Parsed>
}

/** A chat response whose answers were read. */
export interface ParsedChatCompletion<Parsed> extends ChatCompletion {
  /** The answers. */
  choices: ParsedChoice<Parsed>[]
}

/** Options of a call whose answer is read. */
export interface ParseOptions extends CallOptions {
  /**
   * How often an answer that does not fit is sent back with what is wrong; 1 by default. `interfuse.cost_usd` and `.attempts` are
   * then those of all answers; `max_cost_usd` and `timeout` hold for them together.
   */
  maxReasks?: number
}

/** A chat request as `parse` takes it. */
export type ParseBody<Format> = Omit<ChatRequest, 'response_format' | 'stream' | 'tools'> & {
  messages: readonly Message[]
  response_format?: Format
  tools?: readonly (Tool | HelperTool)[] | null
  stream?: false | null
}

/**
 * A `response_format` out of a schema, for one that has no JSON Schema of its own (`schema`), or wants another name than the
 * schema's title. Throws `SchemaError` for what the strict subset of JSON Schema cannot hold.
 */
export function standardResponseFormat<Schema extends StandardSchema>(
  schema: Schema,
  name?: string,
  options?: { schema?: Record<string, unknown>; description?: string },
): StandardResponseFormat<Output<Schema>>

/** A tool as it is sent, with what reads the arguments of its calls. */
export interface StandardTool extends Tool {
  function: FunctionTool
}

/** The same with a function, which `runTools` calls. */
export interface StandardRunnableTool extends StandardTool {
  readonly [runs]: true
}

/** What a tool's function gets beside its arguments. */
export interface ToolContext {
  /** That of the call; aborted when nobody waits for the result any more. */
  readonly signal?: AbortSignal | null
}

/** How a tool is made. */
export interface StandardToolOptions<Schema extends StandardSchema> {
  /** Name; `[A-Za-z0-9_-]{1,64}`. */
  name: string
  /** What its arguments are. */
  parameters: Schema
  /** What it does. */
  description?: string
  /** The JSON Schema of `parameters`, where their library writes none. */
  schema?: Record<string, unknown>
  /** What is called; text is told to the model as it is, anything else as JSON, and what is thrown, too. */
  function?: (args: Output<Schema>, context: ToolContext) => unknown
}

/**
 * A tool out of a function, whose arguments a schema tells and validates. It is sent as strict where the strict subset of JSON
 * Schema holds the schema and no argument may be left out. Without a function, `parse` and `stream` read its arguments.
 * Throws `SchemaError` for a schema that has no JSON Schema.
 */
export function standardFunction<Schema extends StandardSchema>(
  options: StandardToolOptions<Schema> & { function: (args: Output<Schema>, context: ToolContext) => unknown },
): StandardRunnableTool
export function standardFunction<Schema extends StandardSchema>(options: StandardToolOptions<Schema>): StandardTool

/** A tool of OpenAI's helpers, such as `zodFunction`. */
export interface HelperTool {
  type: 'function'
  $parseRaw(text: string): unknown
  $callback: ((args: any) => unknown) | undefined
}

/** A tool that `runTools` can call: of `standardFunction`, of OpenAI's helpers, or as OpenAI's `runTools` takes them. */
export type RunnableTool =
  | StandardRunnableTool
  | HelperTool
  | {
      type: 'function'
      /** With `parse`, `function` gets what it makes of the arguments, otherwise their text. */
      function: FunctionTool & { function: (args: any, context: any) => unknown; parse?: (text: string) => any }
    }

/** A request as `runTools` takes it. `max_cost_usd` is the most that all steps together may cost. */
export type RunToolsBody<Format> = Omit<ChatRequest, 'response_format' | 'stream' | 'tools' | 'messages'> & {
  tools: readonly RunnableTool[]
  response_format?: Format
  stream?: false | null
}

/** Options of `runTools`; `timeout` is for the whole. */
export interface RunToolsOptions extends ParseOptions {
  /** Most times the model is asked; 10 by default. */
  maxSteps?: number
}

/** A call of a tool that was made. */
export interface ToolCalled {
  /** The tool. */
  name: string
  /** As the model wrote them. */
  arguments: string
  /** What the model was told; null after an error. */
  result: string | null
  /** What went wrong, which the model was told, too; null otherwise. */
  error: string | null
}

/** What `runTools` came to. */
export interface ToolRun<Parsed = unknown> {
  /** The last answer's text. */
  text: string | null
  /** The same read by the schema of `response_format`. */
  parsed: Parsed | null
  /** The last answer; null before the first. */
  completion: ChatCompletion | null
  /** The whole conversation, ready to go on with. */
  messages: Message[]
  /** How often the model was asked. */
  steps: number
  /** Every call of a tool. */
  calls: ToolCalled[]
  /** Cost of all answers, nano-USD; absent when unknown. */
  cost_nanos?: number
  /** The same as an exact decimal text in USD. */
  cost_usd?: string
}
