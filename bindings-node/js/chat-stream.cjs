// `client.chat.completions.stream`: a stream as events, as chunks, and as the whole answer at its end.
'use strict'

const { EventEmitter } = require('node:events')

const { toLines } = require('./lines.cjs')
const { interrupted, misuse } = require('./raise.cjs')

/** A stream that whoever loops over it moves on; where nobody does, listeners and whoever waits for its end. */
class ChatCompletionStream {
  #emitter = new EventEmitter()
  #gathered
  #open
  #signal
  #stream
  /** One chunk after the other, whoever asks. */
  #last = Promise.resolve()
  #over
  #settle
  #isTaken = false
  #isDriven = false
  #isHeard = false
  #controller = new AbortController()
  #ended = false

  /** `open(request, signal)` promises the stream. Not for users. */
  constructor(gathered, open, signal) {
    this.#gathered = gathered
    this.#open = open
    this.#signal = signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal
    this.#over = new Promise((resolve, reject) => { this.#settle = { resolve, reject } })
    // Whoever loops is told there.
    this.#over.catch(() => undefined)
  }

  get controller() {
    return this.#controller
  }

  get ended() {
    return this.#ended
  }

  get aborted() {
    return this.#signal.aborted
  }

  get currentChatCompletionSnapshot() {
    return this.#gathered.snapshot
  }

  #advance() {
    const step = () => this.#step()
    return (this.#last = this.#last.then(step, step))
  }

  async #step() {
    if (this.#ended) return { value: undefined, done: true }
    try {
      if (!this.#stream) {
        this.#stream = await this.#open(this.#gathered.sent, this.#signal)
        this.#emitter.emit('connect')
      }
      const { value, done } = await this.#stream.next()
      if (done) await this.#finish()
      else for (const [name, ...told] of await this.#gathered.add(value)) this.#emitter.emit(name, ...told)
      return { value, done }
    } catch (error) {
      this.#ended = true
      await this.#stream?.return()
      this.#settle.reject(error)
      const name = error?.name === 'AbortError' ? 'abort' : 'error'
      // An emitter throws what nobody hears of; here it is told to whoever waits.
      if (this.#emitter.listenerCount(name)) this.#emitter.emit(name, error)
      this.#emitter.emit('end')
      throw error
    }
  }

  async #finish() {
    const completion = await this.#gathered.final()
    const message = completion.choices[0]?.message
    if (!message) throw interrupted('the stream ended without an answer')
    this.#emitter.emit('message', message)
    this.#emitter.emit('finalContent', message.content)
    this.#emitter.emit('finalMessage', message)
    this.#emitter.emit('finalChatCompletion', completion)
    this.#ended = true
    this.#settle.resolve(completion)
    this.#emitter.emit('end')
  }

  /** Moves the stream on to its end, unless a loop does or begins to. */
  #drive() {
    if (this.#isDriven) return
    this.#isDriven = true
    const drive = async () => {
      while (!this.#isTaken && !(await this.#advance()).done);
    }
    Promise.resolve().then(drive).catch((error) => {
      if (!this.#isHeard) throw error
    })
  }

  on(name, listener) {
    return this.#listen('on', name, listener)
  }

  once(name, listener) {
    return this.#listen('once', name, listener)
  }

  off(name, listener) {
    this.#emitter.off(name, listener)
    return this
  }

  #listen(how, name, listener) {
    this.#emitter[how](name, listener)
    if (name === 'error' || name === 'abort') this.#isHeard = true
    this.#drive()
    return this
  }

  async emitted(name) {
    const next = new Promise((resolve) => this.#emitter.once(name, resolve))
    const over = this.#awaited().then(() => {
      throw misuse(`the stream ended without ${JSON.stringify(name)}`)
    })
    // What comes with the end comes before it.
    return Promise.race([next, over])
  }

  #awaited() {
    this.#isHeard = true
    this.#drive()
    return this.#over
  }

  async done() {
    await this.#awaited()
  }

  async finalChatCompletion() {
    return this.#awaited()
  }

  async finalMessage() {
    return (await this.#awaited()).choices[0].message
  }

  async finalContent() {
    return (await this.finalMessage()).content
  }

  async totalUsage() {
    return (await this.#awaited()).usage
  }

  [Symbol.asyncIterator]() {
    if (this.#isTaken) throw misuse('this stream is being read already; a stream can be read once')
    this.#isTaken = true
    const leave = async () => {
      this.abort()
      await this.#advance().catch(() => undefined)
      return { value: undefined, done: true }
    }
    return { next: () => this.#advance(), return: leave, [Symbol.asyncIterator]() { return this } }
  }

  abort() {
    this.#controller.abort()
  }

  toReadableStream() {
    return toLines(this[Symbol.asyncIterator]())
  }

  [Symbol.dispose]() {
    this.abort()
  }

  async [Symbol.asyncDispose]() {
    if (this.#ended) return
    this.abort()
    await this.#advance().catch(() => undefined)
  }
}

module.exports = { ChatCompletionStream }
