"""What openai's users look for around an answer: its headers, its status, how often it was tried."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Answer = TypeVar("Answer")


class Headers(dict[str, str]):
    """Headers by name, whatever its case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, other: Any = None) -> Any:
        """The header, or `other` where it is not kept."""
        return super().get(name.lower(), other)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class Response:
    """A vendor's response as far as it is kept."""

    def __init__(self, status_code: int, headers: Mapping[str, str | None], text: str) -> None:
        self.status_code = status_code
        self.headers = Headers({name: value for name, value in headers.items() if value is not None})
        self.text = text

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)

    def __repr__(self) -> str:
        return f"<Response {self.status_code}>"


class RawResponse(Generic[Answer]):
    """An answer with what stands around it. Of the vendor's headers only the request's id is kept; what else it told is in
    the answer's ``interfuse``."""

    status_code = 200

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._meta: dict[str, Any] = (answer.get("interfuse") if isinstance(answer, dict) else None) or {}
        self.headers = Headers({"x-request-id": self._meta["request_id"]} if self._meta.get("request_id") else {})

    def parse(self) -> Answer:
        """The answer, as ``create`` returns it."""
        return self._answer

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request."""
        return self._meta.get("request_id")

    @property
    def retries_taken(self) -> int:
        """Attempts before the one that answered."""
        return max(0, len(self._meta.get("attempts") or ()) - 1)

    @property
    def elapsed(self) -> timedelta:
        """How long the call took."""
        return timedelta(milliseconds=self._meta.get("latency_ms") or 0)


class WithRawResponse:
    """The same methods, which give a RawResponse."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    def __getattr__(self, name: str) -> Callable[..., RawResponse[Any]]:
        if name not in ("create", "parse"):
            raise AttributeError(f"with_raw_response has create and parse, not {name}")
        method = getattr(self._resource, name)
        return lambda **request: RawResponse(method(**request))


class AsyncWithRawResponse:
    """The same for asyncio."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    def __getattr__(self, name: str) -> Callable[..., Awaitable[RawResponse[Any]]]:
        if name not in ("create", "parse"):
            raise AttributeError(f"with_raw_response has create and parse, not {name}")
        method = getattr(self._resource, name)

        async def raw(**request: Any) -> RawResponse[Any]:
            return RawResponse(await method(**request))

        return raw
