"""Answers of a type: the type's schema goes out, the answer is read into it, and one that does not fit is asked for again.

What is sent and what came pass through generators, so that blocking and asyncio share one course: a generator yields a
request, gets the answer to it, and returns what the caller gets."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

from ._forms import Unfit, named, plain, read, schema_of
from ._record import Record
from ._strict import strict
from ._typed_errors import AnswerFormatError, ContentFilterFinishReasonError, LengthFinishReasonError
from .errors import InterfuseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Result = TypeVar("Result")
Course = Generator[Any, Any, Result]
"""Yields requests, gets answers, returns a result."""


class Parsed(Record):
    """A message, or a function's call, with what its JSON was read into. That stands beside the fields, so that a message put
    back into a conversation is sent as the model wrote it."""

    __slots__ = ("_name", "_value")
    _name: str
    _value: Any

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            if name in Parsed.__slots__:
                raise AttributeError(name)
            if name == self._name:
                return self._value
            return super().__getattr__(name)

        def __setattr__(self, name, value):
            if name in Parsed.__slots__:
                object.__setattr__(self, name, value)
            else:
                super().__setattr__(name, value)

    @classmethod
    def of(cls, record: dict[str, Any], name: str, value: Any) -> Parsed:
        """The record with `value` as its attribute `name`."""
        made = cls(record)
        object.__setattr__(made, "_name", name)
        object.__setattr__(made, "_value", value)
        return made

    def copy(self) -> Parsed:
        """A shallow copy."""
        return Parsed.of(self, self._name, self._value)

    def to_dict(self, *, exclude_none: bool = False, **_pydantic: object) -> dict[str, Any]:
        """Plain dicts and lists all the way down, what was read among them."""
        plain_ = super().to_dict(exclude_none=exclude_none)
        return plain_ if exclude_none and self._value is None else {**plain_, self._name: plain(self._value)}


def is_type(form: Any) -> bool:
    """Whether a `response_format` is a type to read answers into, rather than a format as it is sent."""
    return form is not None and not isinstance(form, (dict, str)) and not hasattr(type(form), "items")


def response_format(kind: Any) -> dict[str, Any]:
    """What asks for answers of a type. Raises SchemaError."""
    schema = strict(schema_of(kind, "response_format"), "response_format")
    return {"type": "json_schema", "json_schema": {"name": named(kind), "schema": schema, "strict": True}}


def asking(request: dict[str, Any], max_reasks: int, readers: dict[str, Callable[[str], Any]]) -> Course[Any]:
    """Asks until the answer fits the type in `response_format`, at most `max_reasks` times again. The request's deadline and
    `max_cost_usd` are those of all answers together. `readers` read the arguments of tools."""
    if max_reasks < 0:
        raise ValueError(f"max_reasks is 0 or more, not {max_reasks}")
    kind = request.get("response_format")
    kind = kind if is_type(kind) else None
    if kind is not None:
        request = {**request, "response_format": response_format(kind)}
    spent = Spent(request)
    while True:
        try:
            answer = yield spent.limited(request)
        except InterfuseError as error:
            spent.tell(error)
            raise
        spent.add(answer)
        spent.summed(answer)
        try:
            return read_answer(answer, kind, readers)
        except Unfit as unfit:
            if spent.answers > max_reasks or not spent.left():
                raise failed(unfit, answer) from None
            request = again(request, answer, unfit)


def readers_of(request: dict[str, Any]) -> dict[str, Callable[[str], Any]]:
    """What reads the arguments of each tool that has a type."""
    return {tool["function"]["name"]: tool.read for tool in request.get("tools") or () if hasattr(tool, "read")}


class Spent:
    """What the answers of one course have cost, in money, time and attempts, and what is left for the next."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._cap = request.get("max_cost_usd")
        self._deadline = request.get("timeout_ms")
        self._began = time.monotonic()
        self._attempts: list[Any] = []
        self._latency_ms = 0
        self.nanos: int | None = 0
        """Cost until now, nano-USD; None when that of any attempt is unknown."""
        self.answers = 0

    def add(self, answer: Any) -> None:
        """Takes an answer in."""
        self.answers += 1
        meta = answer.get("interfuse") or {}
        self._attempts += meta.get("attempts") or []
        self._latency_ms += meta.get("latency_ms") or 0
        self._pay(meta.get("cost_nanos"))

    def cost(self) -> dict[str, Any]:
        """The cost of all answers, under the names it has everywhere."""
        return {"cost_nanos": self.nanos, "cost_usd": None if self.nanos is None else usd(self.nanos)}

    def summed(self, answer: Any) -> Any:
        """The answer, with attempts and cost of all answers where there were several."""
        if self.answers > 1 and answer.get("interfuse"):
            sums = {"attempts": list(self._attempts), "latency_ms": self._latency_ms, **self.cost()}
            answer["interfuse"] = Record({**answer["interfuse"], **sums})
        return answer

    def _pay(self, nanos: int | None) -> None:
        self.nanos = None if nanos is None or self.nanos is None else self.nanos + nanos

    def _left_ms(self) -> int | None:
        return None if self._deadline is None else self._deadline - int((time.monotonic() - self._began) * 1000)

    def left(self) -> bool:
        """Whether there are time and money for another answer. What an unknown cost leaves of a cap is unknown, too."""
        ms = self._left_ms()
        return (ms is None or ms > 0) and (self._cap is None or self.nanos is not None)

    def limited(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request, with what is left as its limits."""
        if self.answers == 0:
            return dict(request)
        ms = self._left_ms()
        limits: dict[str, Any] = {} if ms is None else {"timeout_ms": max(1, ms)}
        if self._cap is not None:
            limits["max_cost_usd"] = usd(max(0, nanos_of(self._cap) - (self.nanos or 0)))
        return {**request, **limits}

    def tell(self, error: InterfuseError) -> None:
        """Puts attempts and cost of what came before on an error that ended the course."""
        if self.answers:
            self._pay(error.cost_nanos if error.attempts else 0)
            error._told["attempts"] = [*self._attempts, *error.attempts]
            error._told["cost_nanos"] = self.nanos


def nanos_of(text: str) -> int:
    """Decimal USD as nano-USD; what is no amount is left to the core, which says so."""
    from decimal import Decimal

    return int(Decimal(str(text)) * 10**9)


def usd(nanos: int) -> str:
    """Nano-USD as an exact decimal text in USD."""
    text = f"{nanos // 10**9}.{nanos % 10**9:09}"
    return text.rstrip("0").rstrip(".")


def read_answer(answer: Any, kind: Any, readers: dict[str, Callable[[str], Any]], whole: bool = True) -> Any:
    """The answer with what its messages were read into. Raises Unfit, and where it has to be `whole` the errors of an answer
    that was cut off."""
    for choice in answer["choices"]:
        if whole:
            _whole(answer, choice.get("finish_reason"))
        message = choice["message"]
        for call in message.get("tool_calls") or ():
            function = call.get("function")
            if function is not None:
                call["function"] = Parsed.of(function, "parsed_arguments", read_arguments(readers, function))
        choice["message"] = Parsed.of(message, "parsed", None if kind is None else read_message(kind, message))
    return answer


def read_message(kind: Any, message: Any) -> Any:
    text = message.get("content")
    if message.get("refusal") or (not text and message.get("tool_calls")):
        return None
    if not text:
        raise Unfit(["there is no text"])
    return read(kind, text)


def read_arguments(readers: dict[str, Callable[[str], Any]], function: Any) -> Any:
    """Arguments of a call; None where the tool has no type. Raises Unfit."""
    reader = readers.get(function["name"])
    if reader is None:
        return None
    try:
        return reader(function["arguments"])
    except Unfit as unfit:
        raise Unfit([f"arguments of {function['name']}: {problem}" for problem in unfit.problems]) from None


def _whole(answer: Any, reason: str | None) -> None:
    if reason == "length":
        raise LengthFinishReasonError(
            "the answer was cut off at its limit of tokens before it was whole; raise max_completion_tokens",
            {"kind": "decode", **_of(answer)},
        )
    if reason == "content_filter":
        raise ContentFilterFinishReasonError(
            "the vendor's content policy cut the answer off", {"kind": "content_filtered", **_of(answer)}
        )


def _of(answer: Any) -> dict[str, Any]:
    meta = answer.get("interfuse") or {}
    told = {name: meta.get(name) for name in ("provider", "model", "attempts", "cost_nanos", "request_id")}
    return {**told, "completion": answer}


def failed(unfit: Unfit, answer: Any) -> AnswerFormatError:
    """The error of an answer that never fit."""
    return AnswerFormatError(
        f"the answer does not fit the type that was asked for: {_few(unfit.problems)}",
        {"kind": "decode", **_of(answer), "problems": unfit.problems},
    )


def _few(problems: list[str]) -> str:
    told = "; ".join(problems[:8])
    return f"{told}; and {len(problems) - 8} more" if len(problems) > 8 else told


def again(request: dict[str, Any], answer: Any, unfit: Unfit) -> dict[str, Any]:
    """The request with the answer that does not fit and what is wrong with it."""
    message = answer["choices"][0]["message"]
    asked = f"This does not fit the form that was asked for: {_few(unfit.problems)}. Answer once more, with the whole of it corrected."
    calls = message.get("tool_calls") or ()
    # A vendor wants every call answered.
    replies = [{"role": "tool", "tool_call_id": call["id"], "content": asked} for call in calls]
    return {**request, "messages": [*request["messages"], message, *(replies or [{"role": "user", "content": asked}])]}


def run(course: Course[Any], call: Callable[[dict[str, Any]], Any]) -> Any:
    """Makes a course's calls, one after the other."""
    done, value = _step(course.send, None)
    while not done:
        try:
            answer = call(value)
        except InterfuseError as error:
            done, value = _step(course.throw, error)
        else:
            done, value = _step(course.send, answer)
    return value


async def run_async(course: Course[Any], call: Callable[[dict[str, Any]], Awaitable[Any]]) -> Any:
    """The same for asyncio."""
    done, value = _step(course.send, None)
    while not done:
        try:
            answer = await call(value)
        except InterfuseError as error:
            done, value = _step(course.throw, error)
        else:
            done, value = _step(course.send, answer)
    return value


def _step(go: Callable[[Any], Any], value: Any) -> tuple[bool, Any]:
    try:
        return False, go(value)
    except StopIteration as end:
        return True, end.value
