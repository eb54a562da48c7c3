// A batch as users see it: requests are put into the native half as it takes them, rows come out as they are done.
'use strict'

const { failure } = require('./raise.cjs')

/** Rows as they are done. Leaving the loop early cancels what is under way; what is in the checkpoint stays. */
class Batch {
  /** What it all came to; null until the last row is read. */
  report = null
  /** How far it was a moment ago. */
  progress = null
  #start
  #requests
  #onProgress
  #toText
  #begun = null
  #native
  #events
  #left = false
  #failed = null
  #room = null

  /** `start(onNative)` opens the stream of events and hands the native batch over. Not for users. */
  constructor(start, requests, onProgress, toText) {
    this.#start = start
    this.#requests = requests
    this.#onProgress = onProgress
    this.#toText = toText
  }

  [Symbol.asyncIterator]() {
    return this
  }

  /** The next row. */
  async next() {
    await (this.#begun ??= this.#begin())
    for (;;) {
      const { value: event, done } = await this.#events.next().catch((error) => {
        this.#leave()
        throw error
      })
      if (done) {
        this.#leave()
        const failed = this.#failed
        this.#failed = null
        if (failed) throw failed.error
        return { value: undefined, done: true }
      }
      if (event.type === 'row') {
        this.#room?.()
        return { value: row(event.row), done: false }
      }
      if (event.type === 'progress') {
        this.progress = event.progress
        this.#onProgress?.(event.progress)
      } else {
        this.report = Object.defineProperty(event.report, 'toText', { value: () => this.#toText(event.report) })
      }
    }
  }

  async #begin() {
    this.#events = await this.#start((native) => (this.#native = native))
    // Runs beside the reader; what it throws the reader is told.
    this.#put().catch((error) => {
      this.#failed = { error }
      this.#events.abort()
    })
  }

  async #put() {
    try {
      for await (const request of this.#requests) {
        while (!this.#left && !this.#push(request)) await new Promise((resolve) => { this.#room = resolve })
        if (this.#left) break
      }
    } finally {
      this.#native.close()
    }
  }

  #push(request) {
    let text
    try {
      text = JSON.stringify(request)
    } catch (fault) {
      return this.#native.push(null, `the request cannot be written as JSON: ${fault.message}`)
    }
    return this.#native.push(text ?? 'null')
  }

  #leave() {
    this.#left = true
    this.#room?.()
  }

  /** Cancels what is under way. */
  async return() {
    this.#leave()
    if (this.#begun) await this.#begun.then(() => this.#events.return(), () => undefined)
    return { value: undefined, done: true }
  }

  /** The rows that were not read yet. */
  async toArray() {
    const rows = []
    for await (const row of this) rows.push(row)
    return rows
  }

  async [Symbol.asyncDispose]() {
    await this.return()
  }
}

/** A row whose text and error are at hand. Not enumerable: what is printed, compared or sent on is the data. */
function row(data) {
  return Object.defineProperties(data, {
    text: { get: () => data.response?.choices?.[0]?.message?.content ?? '' },
    exception: { get: () => (data.error ? failure(data.error) : null) },
  })
}

module.exports = { Batch }
