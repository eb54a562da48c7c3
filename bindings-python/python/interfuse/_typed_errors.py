"""Errors that only Python's types bring: a type that no strict schema holds, an answer that does not fit its type, tools
that never come to an end."""

from __future__ import annotations

from .errors import APIResponseValidationError, BudgetExceededError, ContentFilterError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
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
