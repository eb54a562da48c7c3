// POST {"messages": [...]} to /api/chat: the answer streams as server-sent events, and the call ends when the client leaves.
import { Interfuse } from 'interfuse'

// Made by the first request: `next build` imports this file too, where there are no keys.
let client

export async function POST(request) {
  const { messages } = await request.json()
  client ??= new Interfuse()
  const body = { model: process.env.CHAT_MODEL ?? 'openai/gpt-5-mini', messages, stream: true }
  const stream = await client.chat.completions.create(body, { signal: request.signal })
  return stream.toResponse()
}
