// One stream read by two, at different speeds.
'use strict'

/** Two sources out of one iterator, which `leave` ends when neither is read any more. */
function halves(items, leave) {
  const both = [half(), half()]

  function half() {
    const waiting = []
    let gone = false
    let settle
    return {
      take: (result) => !gone && waiting.push(result),
      isGone: () => gone,
      next: () =>
        new Promise((resolve, reject) => {
          if (gone) return resolve(null)
          settle = () => resolve(null)
          if (waiting.length === 0) pull()
          waiting.shift().then(({ value, done }) => resolve(done ? null : [value]), reject)
        }),
      cancel() {
        gone = true
        waiting.length = 0
        settle?.()
        if (both.every((one) => one.isGone())) leave()
      },
    }
  }

  function pull() {
    const result = items.next()
    for (const one of both) one.take(result)
  }

  return both
}

module.exports = { halves }
