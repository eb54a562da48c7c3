// The scripted upstream for these tests: starts the program, gives its address and what it has seen.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const target = process.env.CARGO_TARGET_DIR ?? `${root}target`
const program = [`${target}/debug/upstream`, `${target}/release/upstream`].find(existsSync)

/** Starts it with these routes; it ends with the test `t`. */
export async function upstream(t, routes) {
  if (!program) throw new Error('the scripted upstream is not built: cargo build -p interfuse-tests --bin upstream')
  const child = spawn(program, ['--script', '-'], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.stdin.end())
  child.stdin.write(JSON.stringify({ routes }))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { value } = await lines.next()
  if (!value) throw new Error('the scripted upstream did not start')
  const base = JSON.parse(value).base_url
  const log = async (query = '') => (await fetch(`${base}/__log${query}`)).json()
  return {
    base: `${base}/v1`,
    config: { providers: { up: { base_url: `${base}/v1`, api_key: 'key' } }, retries: { base_ms: 1, max_ms: 1 } },
    log,
    /** The log once every request has ended, one way or the other. */
    settled: () => log('?settled'),
  }
}

export const messages = [{ role: 'user', content: 'Where?' }]

/** One chunk of a stream, as an upstream step. */
export const chunk = (content) => ({
  send: `data: ${JSON.stringify({
    id: 's', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: null }],
  })}\n\n`,
})

/** A stream that sends these words and then nothing more, until the client leaves. */
export const endless = (...words) => ({
  headers: { 'content-type': 'text/event-stream' },
  steps: [...words.map(chunk), { stall: true }],
})
