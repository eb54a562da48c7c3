# bench: label="interfuse (Python) async" group=python order=2 venv=interfuse pip=../../bindings-python
from _harness import run_async
import interfuse


class D:
    def __init__(self, base, key, models):
        self.c = interfuse.AsyncClient(base_url=base, api_key=key, max_retries=0)

    async def chat(self, model, messages):
        return (await self.c.chat.completions.create(model=model, messages=messages)).choices[0].message.content

    async def stream(self, model, messages, first):
        n = size = 0
        async for ev in await self.c.chat.completions.create(model=model, messages=messages, stream=True):
            t = ev.choices and ev.choices[0].delta.content
            if t:
                if not n:
                    first()
                n += 1
                size += len(t)
        return n, size


run_async(D)
