"""The base of every error interfuse raises: what happened, where, after how much, and what to do next."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    from ._raw import Response
    from ._responses import Attempt, MemberFailure, PartialAnswer
    from ._tools import ToolRun


class InterfuseError(Exception):
    """Any failure of interfuse. ``except interfuse.InterfuseError`` catches them all.

    Each error also answers to openai's names for the same things (``status_code``, ``request_id``, ``code``, ``body``).
    """

    kind: str = "internal"
    """Kind of failure in one word; the same in every language."""
    remedy: str = ""
    """What to do about such a failure."""

    def __new__(cls, message: str = "", details: Mapping[str, Any] | None = None) -> Self:
        """Of the statuses that are one kind here, openai has classes for two more."""
        told = (cls.__name__, details.get("status")) if details else None
        if told in (("BadRequestError", 422), ("InternalServerError", 409)):
            from ._typed_errors import ConflictError, UnprocessableEntityError

            narrower: Any = UnprocessableEntityError if told[1] == 422 else ConflictError
            cls = narrower
        return super().__new__(cls, message, details)

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        """``details``: what an ``ErrorBody`` holds; anything of it may be missing."""
        super().__init__(message)
        self.message = message
        self._told: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        where = [f"{name} {value}" for name in ("provider", "model") if (value := self._told.get(name))]
        if len(self.attempts) > 1:
            where.append(f"after {len(self.attempts)} attempts")
        return f"{self.message} ({', '.join(where)})" if where else self.message

    def __reduce__(self) -> tuple[type[InterfuseError], tuple[str, dict[str, Any]]]:
        return type(self), (self.message, self._told)

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed if made again."""
        return bool(self._told.get("retryable", False))

    @property
    def provider(self) -> str | None:
        """Provider id, when one was involved."""
        return self._told.get("provider")

    @property
    def model(self) -> str | None:
        """Model as sent to the provider."""
        return self._told.get("model")

    @property
    def status(self) -> int | None:
        """The vendor's HTTP status, when one arrived."""
        return self._told.get("status")

    @property
    def status_code(self) -> int | None:
        """The same as ``status``."""
        return self.status

    @property
    def code(self) -> str | None:
        """The vendor's own code or type."""
        return self._told.get("code")

    @property
    def type(self) -> str | None:
        """The vendor's own type, where its error has one beside the code."""
        body = self.body
        told = body.get("type") if isinstance(body, dict) else None
        return told if isinstance(told, str) else None

    @property
    def param(self) -> str | None:
        """The parameter the vendor complained about, or the JSON path in a request or configuration."""
        return self._told.get("param")

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request."""
        return self._told.get("request_id")

    @property
    def response(self) -> Response | None:
        """The vendor's response as far as it is kept: ``status_code``, ``text``, ``json()``, and of its ``headers`` the
        request's id and the wait it asked for. None when none arrived."""
        from ._raw import Response

        if self.status is None:
            return None
        seconds = self.retry_after
        headers = {"x-request-id": self.request_id, "retry-after": None if seconds is None else f"{seconds:g}"}
        return Response(self.status, headers, self._told.get("body") or "")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before trying again, as the vendor asked."""
        ms = self._told.get("retry_after_ms")
        return None if ms is None else ms / 1000

    @property
    def body(self) -> object:
        """The vendor's error: decoded (without its ``error`` envelope) when it is JSON, else the text; None if there is none."""
        text = self._told.get("body")
        if text is None:
            return None
        import json

        try:
            decoded = json.loads(text)
        except ValueError:
            return text
        return decoded.get("error", decoded) if isinstance(decoded, dict) else decoded

    @property
    def attempts(self) -> list[Attempt]:
        """Every attempt made for the call."""
        return self._told.get("attempts") or []

    @property
    def cost_nanos(self) -> int | None:
        """Cost of those attempts in nano-USD (1e-9 USD); None when unknown."""
        return self._told.get("cost_nanos")

    @property
    def partial(self) -> PartialAnswer | None:
        """What had arrived before an interruption."""
        return self._told.get("partial")

    @property
    def members(self) -> list[MemberFailure]:
        """Each member's reason, when a whole pool failed."""
        return self._told.get("members") or []

    @property
    def run(self) -> ToolRun | None:
        """Of a failure within ``run_tools``: what had been done until then."""
        return self._told.get("run")

    @property
    def details(self) -> dict[str, Any]:
        """Anything else worth knowing."""
        return self._told.get("details") or {}
