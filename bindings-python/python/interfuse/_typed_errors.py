"""Errors that only this package has: of types and the answers read into them, of tools that never come to an end, of packages
that are missing, and openai's classes for what is one kind here."""

from __future__ import annotations

from .errors import (
    APIResponseValidationError,
    BadRequestError,
    BudgetExceededError,
    ContentFilterError,
    InternalServerError,
    MisuseError,
    UnsupportedError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._responses import ChatCompletion


class SchemaError(UnsupportedError, TypeError):
    """A type has no JSON schema, or none that the strict subset holds; ``param`` names the place. Nothing was sent."""


class AnswerFormatError(APIResponseValidationError):
    """The answer does not fit the type that was asked for, also after asking again. ``cost_nanos`` and ``attempts`` are
    those of all answers together."""

    @property
    def completion(self) -> ChatCompletion:
        """The last answer."""
        completion: ChatCompletion = self._told["completion"]
        return completion

    @property
    def problems(self) -> list[str]:
        """What does not fit, each with its place."""
        return list(self._told["problems"])


class LengthFinishReasonError(APIResponseValidationError):
    """The answer was cut off at the limit of tokens, so that it can not be read."""

    @property
    def completion(self) -> ChatCompletion:
        """The answer."""
        completion: ChatCompletion = self._told["completion"]
        return completion


class ContentFilterFinishReasonError(ContentFilterError):
    """The vendor's content policy cut the answer off, so that it can not be read."""

    @property
    def completion(self) -> ChatCompletion:
        """The answer."""
        completion: ChatCompletion = self._told["completion"]
        return completion


class MaxStepsError(BudgetExceededError):
    """The model still called tools when ``max_steps`` was reached; ``run`` has everything up to there."""


class PackageError(MisuseError, ImportError):
    """A package that this part uses is missing or too old; the message tells how to install one that does. ``name`` is the
    package's."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details)
        self.name = self._told.get("package")


class ConflictError(InternalServerError):
    """The vendor refused the request with status 409."""


class UnprocessableEntityError(BadRequestError):
    """The vendor refused the request with status 422."""
