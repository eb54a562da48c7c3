// bench: label="interfuse (Node)" group=node order=31 prepare="npm --prefix ../../bindings-node run build:release" size_of=../../bindings-node/js
// Needs the addon as a release build: npm --prefix bindings-node run build:release
import { Interfuse } from '../../../../bindings-node/js/index.mjs'

export default class {
  constructor(base, key) {
    this.c = new Interfuse({ baseURL: base, apiKey: key, maxRetries: 0 })
  }
  async chat(model, messages) {
    return (await this.c.chat.completions.create({ model, messages })).choices[0].message.content
  }
  async stream(model, messages, first) {
    let [n, size] = [0, 0]
    for await (const ev of await this.c.chat.completions.create({ model, messages, stream: true })) {
      const t = ev.choices[0]?.delta.content
      if (t) {
        if (!n++) first()
        size += t.length
      }
    }
    return [n, size]
  }
  async fuse(models, judge, messages) {
    const pool = models.map((model) => `${model}-vary`)
    const fused = await this.c.fuse({ messages, mode: 'best_of', pool, judge: `${judge}-verdict` })
    // Five answers, two verdicts in opposite orders: less than that would measure something else.
    if (fused.report.judges.length !== 2 || fused.report.degraded?.length) throw new Error(`not a whole fusion: ${JSON.stringify(fused.report)}`)
    return fused.text
  }
}
