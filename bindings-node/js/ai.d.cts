import type { ClientOptions, Interfuse } from './index.cjs'
import type { ChatRequest, ResponseMeta } from './types'

/**
 * What `providerOptions.interfuse` takes: fields of a chat request that the AI SDK has no words for, such as `fusion`, `provider`,
 * `tags`, `max_cost_usd`, `reasoning_effort`: `providerOptions: { interfuse: { fusion: { mode: 'merge' } } satisfies InterfuseOptions }`.
 * `fetch_images` is on, as the SDK has it; with `false` vendors get the addresses.
 */
export type InterfuseOptions = Omit<ChatRequest, 'model' | 'messages' | 'stream'>

/**
 * What `providerMetadata?.interfuse` is: who served, every attempt, the cost, and of a fusion its report:
 * `providerMetadata?.interfuse as InterfuseMetadata | undefined`.
 */
export type InterfuseMetadata = { [Field in keyof ResponseMeta]: ResponseMeta[Field] }

// Calls and results are the SDK's business; its packages type them, and they differ from version to version.
/* eslint-disable @typescript-eslint/no-explicit-any */

/** A language model of the AI SDK's specification V3. */
export interface InterfuseLanguageModel {
  readonly specificationVersion: 'v3'
  readonly provider: string
  readonly modelId: string
  readonly supportedUrls: Record<string, RegExp[]>
  doGenerate(options: any): Promise<any>
  doStream(options: any): Promise<any>
}

/** An embedding model of the AI SDK's specification V3. */
export interface InterfuseEmbeddingModel {
  readonly specificationVersion: 'v3'
  readonly provider: string
  readonly modelId: string
  readonly maxEmbeddingsPerCall: number
  readonly supportsParallelCalls: boolean
  doEmbed(options: any): Promise<any>
}

/** A provider of the AI SDK's specification V3. */
export interface InterfuseProvider {
  /** A language model, named as in interfuse: `openai/gpt-5-mini`, `interfuse/merge`. */
  (modelId: string): InterfuseLanguageModel
  readonly specificationVersion: 'v3'
  languageModel(modelId: string): InterfuseLanguageModel
  embeddingModel(modelId: string): InterfuseEmbeddingModel
  textEmbeddingModel(modelId: string): InterfuseEmbeddingModel
  /** There is none; throws `MisuseError`. */
  imageModel(modelId: string): never
}

/**
 * A provider for the AI SDK (ai 6 and 7): `generateText({ model: createInterfuse({ client })('openai/gpt-5-mini'), ... })`. Without
 * `client` one is made with the other options when it is first used. Errors are interfuse's, and `APICallError.isInstance` holds for
 * those of vendors; the SDK does not try again what interfuse has tried.
 */
export function createInterfuse(options?: { client: Interfuse } | ClientOptions): InterfuseProvider

/** A provider with every vendor's usual key variables, or the configuration that `INTERFUSE_CONFIG` names. */
export const interfuse: InterfuseProvider
