// A stream as users see it: an async iterable of objects, pulled in batches from the native half.
'use strict'

const { EVENTS, events } = require('./answers.cjs')
const { lines, toLines } = require('./lines.cjs')
const { aborted, fromNative, misuse } = require('./raise.cjs')
const { halves } = require('./tee.cjs')

/** A stream that is forgotten ends, too. */
const forgotten = new FinalizationRegistry((watch) => watch.left())

/** Chunks or events as they come. Leaving the loop early closes the connection. */
class Stream {
  #source
  #cancel
  #settle
  /** Shared with the listeners, which must not keep the stream itself alive. */
  #state
  #batch = []
  #at = 0
  #ended = false
  #reading = null
  #taken = false
  #controller
  #made

  /**
   * Starts a stream: `start(cancel)` promises the native one, `made` makes of items what users get, and of null at the end what it
   * has kept back; `watch` is told of items and the end (`interfuse/otel`). Not for users.
   */
  static async open(start, cancel, signal, made, watch) {
    const failed = (error) => {
      watch?.failed(error)
      return error
    }
    if (signal?.aborted) throw failed(aborted(signal))
    const state = { aborted: null, left: false, watch }
    const onAbort = () => {
      state.aborted = signal
      failed(aborted(signal))
      end(cancel, state)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    const settle = () => signal?.removeEventListener('abort', onAbort)
    try {
      return new Stream(await start(cancel), cancel, state, settle, made)
    } catch (fault) {
      settle()
      throw failed(state.aborted ? aborted(signal) : fromNative(fault))
    }
  }

  /** A stream out of lines of JSON, as `toReadableStream()` writes them. */
  static fromReadableStream(readable, controller) {
    return Stream.#from(lines(readable), controller)
  }

  static #from(source, controller) {
    const stream = new Stream(source, source, { aborted: null, left: false }, () => undefined)
    if (controller) stream.#obey(controller)
    return stream
  }

  constructor(source, cancel, state, settle, made) {
    this.#made = made
    this.#source = source
    this.#cancel = cancel
    this.#state = state
    this.#settle = settle
    state.source = new WeakRef(source)
    if (state.watch) forgotten.register(this, state.watch)
  }

  /** Aborting it ends the stream quietly, like `abort()`. */
  get controller() {
    if (!this.#controller) this.#obey(new AbortController())
    return this.#controller
  }

  #obey(controller) {
    const [cancel, state] = [this.#cancel, this.#state]
    const leave = () => {
      state.left = true
      state.watch?.left()
      end(cancel, state)
    }
    this.#controller = controller
    if (controller.signal.aborted) leave()
    else controller.signal.addEventListener('abort', leave, { once: true })
  }

  [Symbol.asyncIterator]() {
    if (this.#taken) throw misuse('this stream is being read already; a stream can be read once')
    this.#taken = true
    return { next: () => this.next(), return: () => this.return(), [Symbol.asyncIterator]() { return this } }
  }

  /** The next item. */
  next() {
    if (this.#at < this.#batch.length && !this.#state.left && !this.#state.aborted) {
      return Promise.resolve({ value: this.#batch[this.#at++], done: false })
    }
    if (this.#reading) return this.#reading.then(() => this.next(), () => this.next())
    if (this.#ended) return Promise.resolve({ value: undefined, done: true })
    this.#reading = this.#read().finally(() => { this.#reading = null })
    return this.#reading
  }

  async #read() {
    for (;;) {
      let batch
      try {
        batch = await this.#source.next()
      } catch (fault) {
        const quiet = this.#ended || this.#state.left
        this.#end()
        if (quiet) return { value: undefined, done: true }
        const error = this.#state.aborted ? aborted(this.#state.aborted) : fromNative(fault)
        this.#state.watch?.failed(error)
        throw error
      }
      const isLeft = this.#ended
      const isOver = batch === null || isLeft
      if (isOver) {
        this.#end()
        this.#state.watch?.ended()
      }
      const items = isLeft ? [] : this.#items(batch)
      if (items.length) {
        this.#batch = items
        this.#at = 1
        return { value: items[0], done: false }
      }
      if (isOver) return { value: undefined, done: true }
    }
  }

  /** What users get of a batch; of null what was kept back until the end. */
  #items(batch) {
    const items = typeof batch === 'string' ? JSON.parse(batch) : batch
    if (this.#state.watch) for (const item of items ?? []) this.#state.watch.item(item)
    return (this.#made ? this.#made(items) : items) ?? []
  }

  #end() {
    this.#ended = true
    this.#batch = []
    this.#at = 0
    this.#settle()
  }

  /** Ends the stream and closes its connection; what had not been read is dropped. */
  async return() {
    if (!this.#ended) {
      this.#end()
      this.#state.watch?.left()
      this.#cancel.cancel()
      // The native stream lets go of its connection when it sees the cancellation.
      await this.#source.next().catch(() => null)
    }
    return { value: undefined, done: true }
  }

  /** Ends the stream now, quietly: a loop over it is left, a waiting `next()` is done. */
  abort() {
    this.controller.abort()
  }

  async [Symbol.asyncDispose]() {
    await this.return()
  }

  [Symbol.dispose]() {
    this.abort()
  }

  /** Two streams of the same items, each read at its own speed. */
  tee() {
    return halves(this[Symbol.asyncIterator](), () => this.abort()).map((half) => Stream.#from(half))
  }

  /** The items as server-sent events, as OpenAI sends them. */
  toResponse(init) {
    const headers = new Headers(init?.headers)
    for (const [name, value] of Object.entries(EVENTS)) if (!headers.has(name)) headers.set(name, value)
    return new Response(events(this[Symbol.asyncIterator]()), { ...init, headers })
  }

  /** The items as lines of JSON, for a response of one's own server. */
  toReadableStream() {
    return toLines(this[Symbol.asyncIterator]())
  }
}

/** Cancels a stream. The native one lets go of its connection when it sees that, which it does when it is asked for more. */
function end(cancel, state) {
  cancel.cancel()
  state.source?.deref()?.next().catch(() => null)
}

module.exports = { Stream }
