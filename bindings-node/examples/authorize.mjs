// Who may call these examples: a token each, and the user whom its calls are booked for.
const users = new Map([[process.env.SERVER_TOKEN ?? 'demo', 'u1']])

export function authorize(request) {
  const user = users.get(request.headers.get('authorization')?.replace(/^Bearer /, ''))
  return user !== undefined && { tags: { user } }
}
