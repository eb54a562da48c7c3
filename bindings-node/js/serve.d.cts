import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Interfuse } from './index.cjs'
import type { ChatRequest } from './types'

/** How requests are served. Everything is optional. */
export interface ServeOptions<Context = unknown> {
  /**
   * Who may call. Only `true` lets a request pass as it is; an object is laid over its fields, whatever the endpoint
   * (`{ tags: { user: 'u7' } }`, against which budgets hold); a `Response` is the answer; anything else is answered with status 401. Without it everybody may call who
   * reaches the handler. `context` is the second argument of the web handler, or the request of `node:http`.
   */
  authorize?(request: Request, context: Context): Allowed | Promise<Allowed>
  /** Most bytes of a request; 10 MiB by default. A longer one is answered with status 413. */
  bodyLimit?: number
  /** Milliseconds of silence after which a stream sends a comment, so that nobody in between gives up; 15000 by default, 0 for never. */
  keepAliveMs?: number
  /**
   * Told what is none of interfuse's errors, such as what `authorize` throws; the client gets status 500, or is cut off, and nothing
   * of it. Printed to `console.error` by default.
   */
  onError?(error: unknown, request: Request | IncomingMessage): void
}

/** What `authorize` says. */
export type Allowed = boolean | null | undefined | Response | Partial<ChatRequest>

/**
 * Serves OpenAI's `/chat/completions` (whole and streamed), `/embeddings` and `/models`, with whatever stands before them in the
 * path, to web requests (Hono, Next.js, `Deno.serve`): `app.all('/v1/*', (c) => serve(c.req.raw))`. Errors have OpenAI's form and
 * interfuse's kinds as `type`; a client that leaves ends its call.
 */
export function handler<Context = unknown>(
  client: Interfuse,
  options?: ServeOptions<Context>,
): (request: Request, context?: Context) => Promise<Response>

/** The same for `node:http`, and what is built on it: `app.use('/v1', nodeHandler(client))`. A body that was parsed already is taken. */
export function nodeHandler(
  client: Interfuse,
  options?: ServeOptions<IncomingMessage>,
): (req: IncomingMessage, res: ServerResponse) => Promise<void>
