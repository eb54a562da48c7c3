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

  /** The fields as plain data. */
  toJSON() {
    return { message: this.message, ...this }
  }
}

module.exports = { InterfuseError }
