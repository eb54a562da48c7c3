// Parity runner of the Node package: `runner.mjs OP CONFIG_JSON REQUEST_JSON [CANCEL_AFTER_MS]`, JSON lines on stdout.
// `runner.mjs calls CONFIG_JSON CALLS_JSON` makes calls one after another through one client.
import { setTimeout as sleep } from 'node:timers/promises'

import { Interfuse, InterfuseError, calibrate, fusedHtml, replay } from '../../bindings-node/js/index.mjs'

const [op, config, request, cancelAfter] = process.argv.slice(2)

const show = (line) => console.log(JSON.stringify(line))

/** What the operation results in; chunks and events are shown as they come. */
async function run(client, op, body, options) {
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
    case 'fuse_html':
      return fusedHtml(await client.fuse(body, options))
    case 'fuse_stream':
      for await (const event of await client.fuse({ ...body, stream: true }, options)) show({ event })
      return null
    case 'evaluate':
      return client.evaluate(body, options)
    case 'evaluate_stream':
      for await (const event of await client.evaluate({ ...body, stream: true }, options)) show({ event })
      return null
    case 'evaluate_again':
      for await (const event of await client.evaluate({ ...body, stream: true }, options)) if (event.done > 0) break
      return client.evaluate(body, options)
    case 'batch':
      return batch(client, body, options)
    case 'batch_again':
      for await (const _ of client.batch(body.requests, body.options, options)) break
      return batch(client, body, options)
    case 'feedback': {
      const { id } = await client.fuse(body.fuse)
      await client.feedback(body.run_id ?? id, body.outcome)
      return new Interfuse({ config: JSON.parse(config) }).fuse(body.fuse)
    }
    case 'rejudge':
      return client.rejudge(body.report ?? (await client.fuse(body.fuse)).report, body.again, options)
    case 'replay':
      return replay(body.report ?? (await client.fuse(body.fuse)).report)
    case 'calibrate':
      return calibrate(body)
    case 'explain':
      return client.explain(body)
    case 'estimate':
      return client.estimate(body)
    case 'budgets': {
      // A stream that is left after its first chunk; then where the budgets stand, once nothing is under way any more.
      for await (const _ of await client.chat.completions.create({ ...body, stream: true }, options)) break
      let budgets
      do budgets = await client.budgets()
      while (budgets.some((budget) => budget.held_nanos > 0) && (await sleep(10, true)))
      return budgets
    }
    case 'ledger':
      await client.chat.completions.create(body.chat, options)
      return ledger(client, body)
    case 'reconcile':
      return client.reconcile(body.files, body.options)
    case 'client':
      return null
    default:
      throw new Error(`no operation ${op}`)
  }
}

/** Shows the rows of a batch; gives its report. */
async function batch(client, { requests, options: how }, options) {
  const rows = client.batch(requests, how, options)
  for await (const event of rows) show({ event })
  return rows.report
}

/** What the ledger says of a chat that was made. */
async function ledger(client, { query: { time_zone: timeZone, ...query }, export: { format, query: of } }) {
  const records = []
  for await (const record of await client.records({ ...query, timeZone })) records.push(record)
  const text = await client.ledger.export({ format, ...of })
  return { usage: await client.usage({ ...query, timeZone }), records, export: JSON.parse(text) }
}

/** The error's fields, read the way a user reads them. */
function told(error) {
  const names = [
    'kind', 'message', 'retryable', 'provider', 'model', 'status', 'code', 'param', 'request_id', 'retry_after_ms',
    'body', 'attempts', 'partial', 'members',
  ]
  return Object.fromEntries(names.map((name) => [name, error[name] ?? null]))
}

/** Shows what the call results in. */
async function make(call) {
  try {
    show({ result: await call() })
  } catch (error) {
    if (!(error instanceof InterfuseError)) throw error
    show({ error: told(error) })
  }
}

/** Makes each call at its time, or when the one before it has ended; gives what the ledger says of them all. */
async function calls(client, list) {
  const start = performance.now()
  const sinceStart = () => Math.round(performance.now() - start)
  for (const { at_ms, op, request } of list) {
    await sleep(at_ms - sinceStart())
    const made = { started_ms: sinceStart() }
    await make(async () => {
      try {
        return await run(client, op, request)
      } finally {
        made.ended_ms = sinceStart()
      }
    })
    show({ made })
  }
  return client.usage({ by: ['provider'] })
}

// As a service does it: an abort signal with a time limit.
const signal = cancelAfter === undefined ? undefined : AbortSignal.timeout(Number(cancelAfter))
await make(async () => {
  const client = new Interfuse({ config: JSON.parse(config) })
  const body = JSON.parse(request)
  return op === 'calls' ? calls(client, body) : run(client, op, body, { signal })
})
