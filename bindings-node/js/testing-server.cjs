// A server on loopback in this process; what it answers is somebody else's.
'use strict'

const { createServer } = require('node:http')
const { setTimeout: pause } = require('node:timers/promises')

/** Headers that framing decides. */
const OWN = ['content-length', 'transfer-encoding', 'connection', 'keep-alive']

/** The client left; nobody waits for the rest. */
class Left extends Error {}

/** One request, and the answer being written to it. */
class Exchange {
  #res
  #leaving = new AbortController()

  constructor(req, res, body) {
    const [, provider, path] = /^\/([^/?]*)(.*)$/s.exec(req.url) ?? [undefined, '', req.url]
    this.provider = decodeURIComponent(provider)
    this.method = req.method
    this.path = path
    this.headers = Object.fromEntries(Object.entries(req.headers).map(([name, value]) => [name, String(value)]))
    this.body = body
    this.#res = res
    res.sendDate = false
    res.once('close', () => {
      if (!res.writableFinished) this.#leaving.abort()
    })
    res.on('error', () => this.#leaving.abort())
  }

  /** Aborts when the client leaves. */
  get left() {
    return this.#leaving.signal
  }

  /** Sends the head; without a length the body comes in chunks. */
  head(status, headers, length) {
    const given = Object.entries(headers).filter(([name]) => !OWN.includes(name.toLowerCase()))
    this.#res.writeHead(status, { ...Object.fromEntries(given), ...(length == null ? {} : { 'content-length': length }) })
    this.#res.flushHeaders()
  }

  /** Sends a piece of the body; settles when the system has it. */
  async send(data) {
    if (data.length === 0) return
    if (this.left.aborted) throw new Left()
    await new Promise((sent, failed) => {
      const gone = () => failed(new Left())
      this.left.addEventListener('abort', gone, { once: true })
      this.#res.write(data, (error) => {
        this.left.removeEventListener('abort', gone)
        if (error) gone()
        else sent()
      })
    })
  }

  /** The body is whole. */
  end() {
    this.#res.end()
  }

  /** Waits so many milliseconds; without a number until the client leaves, which throws `Left`. */
  async wait(ms) {
    try {
      if (ms != null) return void (await pause(ms, undefined, { signal: this.left }))
      if (!this.left.aborted) await new Promise((resolve) => this.left.addEventListener('abort', resolve, { once: true }))
    } catch {
      // It left: said below.
    }
    throw new Left()
  }

  /** Closes the connection after what was sent. */
  close() {
    this.#res.socket?.destroySoon()
  }

  /** Resets the connection. */
  reset() {
    this.#res.socket?.resetAndDestroy()
  }
}

/** Starts a server that `answer(exchange)` answers; `close` ends it with all its connections. */
async function loopback(answer) {
  const active = new Set()
  const serve = async (req, res) => {
    const pieces = []
    try {
      for await (const piece of req) pieces.push(piece)
      await answer(new Exchange(req, res, Buffer.concat(pieces)))
    } catch (error) {
      // Of a client that left there is nothing to say; anything else is a defect here, which the client must see.
      res.destroy(error instanceof Left ? undefined : error)
    }
  }
  const server = createServer((req, res) => {
    const run = serve(req, res).finally(() => active.delete(run))
    active.add(run)
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Waits until every answer under way is at its end, at most so many milliseconds. */
    async settle(ms) {
      const late = new AbortController()
      await Promise.race([Promise.allSettled(active), pause(ms, undefined, { signal: late.signal }).catch(() => {})])
      late.abort()
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      await Promise.allSettled(active)
    },
  }
}

module.exports = { Left, loopback }
