// Streams as lines of JSON: as `toReadableStream()` writes them, and what a stream is pulled from when it comes so.
'use strict'

/** Batches of items, as the native half's streams give them, and how to leave. */
function lines(readable) {
  const reader = readable.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  return {
    async next() {
      for (;;) {
        const { value, done } = await reader.read()
        if (typeof value === 'string') rest += value
        else rest += done ? decoder.decode() : decoder.decode(value, { stream: true })
        const complete = rest.split('\n')
        rest = done ? '' : complete.pop()
        const items = complete.filter((line) => line.trim()).map((line) => JSON.parse(line))
        if (items.length) return items
        if (done) return null
      }
    },
    cancel() {
      // A body that broke is left as well as one that goes on.
      reader.cancel().catch(() => undefined)
    },
  }
}

/** Items as lines of JSON; leaving them leaves the iterator. */
function toLines(items) {
  const encoder = new TextEncoder()
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await items.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(JSON.stringify(value) + '\n'))
    },
    async cancel() {
      await items.return()
    },
  })
}

module.exports = { lines, toLines }
