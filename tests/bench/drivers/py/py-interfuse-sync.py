# bench: label="interfuse (Python) sync" group=python order=1 sync=1 venv=interfuse pip=../../bindings-python
from _harness import run_sync
import interfuse


class D:
    def __init__(self, base, key, models):
        self.c = interfuse.Client(base_url=base, api_key=key, max_retries=0)

    def chat(self, model, messages):
        return self.c.chat.completions.create(model=model, messages=messages).choices[0].message.content

    def stream(self, model, messages, first):
        n = size = 0
        for ev in self.c.chat.completions.create(model=model, messages=messages, stream=True):
            t = ev.choices and ev.choices[0].delta.content
            if t:
                if not n:
                    first()
                n += 1
                size += len(t)
        return n, size


run_sync(D)
