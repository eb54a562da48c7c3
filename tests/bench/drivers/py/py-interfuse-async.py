# bench: label="interfuse (Python) async" group=python order=2 venv=interfuse wheel=../../bindings-python
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

    async def fuse(self, models, judge, messages):
        pool = [model + "-vary" for model in models]
        fused = await self.c.fuse(messages=messages, mode="best_of", pool=pool, judge=judge + "-verdict")
        # Five answers, two verdicts in opposite orders: less than that would measure something else.
        if len(fused.report.judges) != 2 or fused.report.get("degraded"):
            raise RuntimeError(f"not a whole fusion: {fused.report}")
        return fused.text


run_async(D)
