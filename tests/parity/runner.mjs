// Parity runner of the Node package: `runner.mjs OP CONFIG_JSON REQUEST_JSON [CANCEL_AFTER_MS]`, JSON lines on stdout.
import { Interfuse, InterfuseError } from '../../bindings-node/js/index.mjs'

const [op, config, request, cancelAfter] = process.argv.slice(2)

const show = (line) => console.log(JSON.stringify(line))

/** What the operation results in; chunks and events are shown as they come. */
async function run(client, body, options) {
  switch (op) {
    case 'chat':
      return client.chat.completions.create(body, options)
    case 'chat_stream':
      for await (const chunk of await client.chat.completions.create({ ...body, stream: true }, options)) show({ chunk })
      return null
    case 'embeddings':
      return client.embeddings.create(body, options)
    case 'fuse':
      return client.fuse(body, options)
    case 'fuse_stream':
      for await (const event of await client.fuse({ ...body, stream: true }, options)) show({ event })
      return null
    case 'explain':
      return client.explain(body)
    case 'client':
      return null
    default:
      throw new Error(`no operation ${op}`)
  }
}

/** The error's fields, read the way a user reads them. */
function told(error) {
  const names = [
    'kind', 'message', 'retryable', 'provider', 'model', 'status', 'code', 'param', 'request_id', 'retry_after_ms',
    'body', 'attempts', 'partial', 'members',
  ]
  return Object.fromEntries(names.map((name) => [name, error[name] ?? null]))
}

// As a service does it: an abort signal with a time limit.
const signal = cancelAfter === undefined ? undefined : AbortSignal.timeout(Number(cancelAfter))
try {
  const client = new Interfuse({ config: JSON.parse(config) })
  show({ result: await run(client, JSON.parse(request), { signal }) })
} catch (error) {
  if (!(error instanceof InterfuseError)) throw error
  show({ error: told(error) })
}
