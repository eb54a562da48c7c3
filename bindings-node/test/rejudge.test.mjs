// Stored answers: judged anew, and replayed.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BadRequestError, Interfuse, replay } from 'interfuse'

import { upstream } from './upstream.mjs'

const prompt = 'Why is Bern the capital of Switzerland?'
const routes = [
  { when: { model: 'm-a' }, then: { answer: 'Because Zurich did not want it at all.' } },
  { when: { model: 'm-b' }, then: { answer: 'It lies between both parts of the country.' } },
  {
    when: { model: 'm-j' },
    then: { answer: '{"best": "{{best}}"}', capture: { best: '"answer":"(\\w+)","text":"It lies between' } },
  },
]

test('a stored report is judged anew, and what was decided is decided again', async (t) => {
  const up = await upstream(t, routes)
  const client = new Interfuse({ config: up.config })
  const fused = await client.fuse(prompt, { pool: ['up/m-a', 'up/m-b'], judge: 'up/m-a', mode: 'vote' })
  const stored = JSON.parse(JSON.stringify(fused.report))
  const again = await client.rejudge(stored, prompt, { mode: 'best_of', judge: 'up/m-j' })
  assert.equal(again.text, 'It lies between both parts of the country.')
  assert.deepEqual([again.report.earlier.how, again.report.earlier.run_id], ['rejudged', fused.id])
  assert.equal(again.report.cost.calls, 2)
  await assert.rejects(client.rejudge(stored, { prompt, mode: 'debate' }), BadRequestError)

  const third = replay(again.report)
  assert.deepEqual(third.report.decision, again.report.decision)
  assert.deepEqual([third.report.earlier.how, third.report.earlier.differs, third.report.cost.calls], ['replayed', undefined, 0])
  const other = structuredClone(again.report)
  other.decision.members = ['up/m-a']
  assert.deepEqual(replay(other).report.earlier.differs, [{ at: '/decision/members/0', was: 'up/m-a', now: 'up/m-b' }])
  delete other.grounds
  assert.throws(() => replay(other), BadRequestError)
})
