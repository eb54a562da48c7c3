"""A scripted provider, and clients that are led to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from . import _scrub
from ._plan import plan
from ._script import Response, Route, Script
from ._server import Exchange, Loopback

if TYPE_CHECKING:
    from .. import AsyncClient, Client
    from ..types import Config, Price


@dataclass(frozen=True)
class Request:
    """A request that came."""

    provider: str
    """Name of the provider that was asked."""
    method: str
    path: str
    """Path as at a vendor: ``/v1/chat/completions``."""
    headers: Mapping[str, str]
    """By names in small letters; credentials are scrubbed."""
    body: Any
    """The JSON document, or text that is none."""
    route: int | None
    """Position of the route that took it, bare answers last; None if none did."""

    @property
    def model(self) -> str | None:
        """The model that was asked for."""
        return self.body.get("model") if isinstance(self.body, dict) else None


class Upstream:
    """A server on loopback that answers from a script, in OpenAI's form. Listens from the start; use it in ``with``, or close it.

        with testing.Upstream(answer("Bern."), prices={"up/m": {"input": "1", "output": "2"}}) as up:
            assert up.client().chat(model="up/m", messages=[...]).choices[0].message.content == "Bern."
    """

    def __init__(
        self,
        *script: Route | Response,
        providers: Sequence[str] = ("up",),
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        """
        script: routes (``when(model="m-a").then(...)``), of which the first that holds answers, and bare answers
            (``answer("Bern.")``), which every other request gets in order; the last one repeats.
        providers: names under which the server is reached. One of the catalogue's keeps what the catalogue says of it,
            also which protocol it speaks; ``answer`` is for OpenAI's chat completions.
        prices: USD per million tokens, by ``provider/model``.

        Raises ConfigError naming what in the script is not understood.
        """
        self._script = Script(script)
        self._providers = list(providers)
        self._prices = dict(prices or {})
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._server = Loopback(self._answer)

    @property
    def base_url(self) -> str:
        """Address of the first provider."""
        return self._address(self._providers[0])

    def _address(self, provider: str) -> str:
        return f"{self._server.url}/{quote(provider, safe='')}/v1"

    @property
    def config(self) -> Config:
        """A client's configuration in which every provider leads here. Retries do not wait, unless the answer says how long."""
        return {
            "providers": {
                name: {"base_url": self._address(name), "api_key": f"key-of-{name}"} for name in self._providers
            },
            "prices": self._prices,
            "retries": {"base_ms": 1, "max_ms": 1},
            "use_environment": False,
        }

    def client(self, config: Config | None = None, **options: Any) -> Client:
        """A client of this server. ``config`` is laid over the one above, section by section; ``options`` are the client's."""
        from .. import Client

        return Client({**self.config, **(config or {})}, **options)

    def async_client(self, config: Config | None = None, **options: Any) -> AsyncClient:
        """The same for asyncio."""
        from .. import AsyncClient

        return AsyncClient({**self.config, **(config or {})}, **options)

    @property
    def requests(self) -> list[Request]:
        """What came so far, in order."""
        with self._lock:
            return list(self._requests)

    def close(self) -> None:
        """Ends the server and every connection. May be called twice."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _answer(self, exchange: Exchange) -> None:
        text = exchange.body.decode(errors="replace")
        body = parsed(text)
        asked = {
            "provider": exchange.provider,
            "method": exchange.method,
            "path": exchange.path,
            "sent": exchange.headers,
            "text": text,
            "body": body,
        }
        # Arrival and turn are one step, or two calls at once could be logged in one order and answered in another.
        with self._lock:
            taken = self._script.take(asked)
            self._requests.append(
                Request(
                    provider=exchange.provider,
                    method=exchange.method,
                    path=_scrub.path(exchange.path),
                    headers=_scrub.shown(exchange.headers),
                    body=body,
                    route=None if taken is None else taken[0],
                )
            )
            serial = len(self._requests)
        if taken is None:
            refuse(exchange, f"no route of the script takes {told(exchange, body)}; scripted: {self._script}", "script_without_route")
            return
        response = taken[1]
        if why := _unspoken(response, exchange.path):
            refuse(exchange, f"the script's answer does not fit {told(exchange, body)}: {why}", "script_without_route")
            return
        _play(exchange, response, body, serial)


def _unspoken(response: Mapping[str, Any], path: str) -> str | None:
    """Why an answer in OpenAI's form would not be understood there."""
    end = path.partition("?")[0]
    if ("answer" in response or "tool_calls" in response) and not end.endswith("/chat/completions"):
        return "`answer` is a chat completion; script `embeddings`, `json`, `sse` or `steps`"
    if "embeddings" in response and not end.endswith("/embeddings"):
        return "`embeddings` are for /embeddings"
    return None


def _play(exchange: Exchange, response: Mapping[str, Any], request: Any, serial: int) -> None:
    kind, streams, length, actions = plan(response, request, serial)
    if response.get("delay_ms"):
        exchange.wait(response["delay_ms"] / 1000)
    # A reset that comes first is one of the connection, not of an answer.
    if not actions or actions[0][0] != "reset":
        headers = {"content-type": kind, **{name.lower(): value for name, value in response.get("headers", {}).items()}}
        exchange.head(response.get("status", 200), headers, None if streams else length)
    for action in actions:
        match action:
            case ("send", data):
                exchange.send(data)
            case ("delay", ms):
                exchange.wait(ms / 1000)
            case ("stall", _):
                exchange.wait(None)
            case ("reset", _):
                return exchange.reset()
            case ("close", _):
                return exchange.close()
    exchange.end()


def parsed(text: str) -> Any:
    """The JSON document that a text is, or the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def told(exchange: Exchange, body: Any) -> str:
    """A request in a few words, for an error."""
    model = body.get("model") if isinstance(body, dict) else None
    said = json.dumps(body, ensure_ascii=False)
    short = said if len(said) <= 300 else f"{said[:300]}..."
    of = f" of model {model}" if model else ""
    return f"{exchange.method} {_scrub.path(exchange.path)}{of} at provider {exchange.provider}: {short}"


def refuse(exchange: Exchange, message: str, code: str, status: int = 404) -> None:
    """Answers with an error in OpenAI's form; a client raises it with this ``code``."""
    data = json.dumps({"error": {"message": message, "type": code, "code": code}}).encode()
    exchange.head(status, {"content-type": "application/json"}, len(data))
    exchange.send(data)
