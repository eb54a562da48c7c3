// The base of every error, and how the native half's JSON text becomes one.
'use strict'

/** Any failure of interfuse. Carries the fields of `ErrorBody`. */
class InterfuseError extends Error {
  /**
   * @param {object} body fields of `ErrorBody`
   * @param {{cause?: unknown}} [options]
   */
  constructor(body, options) {
    const { message, ...told } = body
    super(message, options)
    Object.assign(this, told)
  }

  // On the prototype, as for the errors of the language: not printed again beside the stack.
  get name() {
    return this.constructor.name
  }

  set name(name) {
    Object.defineProperty(this, 'name', { value: name, writable: true, configurable: true, enumerable: false })
  }

  /** What to do about such a failure; each kind's class has its own. */
  get remedy() {
    return ''
  }

  /** OpenAI's name of `request_id`. */
  get requestID() {
    return this.request_id
  }

  /** The vendor's error, decoded and without its envelope where it is JSON. */
  get error() {
    if (this.body === undefined) return undefined
    try {
      const decoded = JSON.parse(this.body)
      return decoded?.error ?? decoded
    } catch {
      return this.body
    }
  }

  /** The vendor's own type, where its error has one beside the code. */
  get type() {
    const type = this.error?.type
    return typeof type === 'string' ? type : undefined
  }

  /** Of the vendor's headers what is kept of them: the request's id, and the wait it asked for. */
  get headers() {
    if (this.status === undefined) return undefined
    const headers = new Headers()
    if (this.request_id !== undefined) headers.set('x-request-id', this.request_id)
    if (this.retry_after_ms !== undefined) headers.set('retry-after', String(this.retry_after_ms / 1000))
    return headers
  }

  /** The fields as plain data. */
  toJSON() {
    return { message: this.message, ...this }
  }
}

module.exports = { InterfuseError }
