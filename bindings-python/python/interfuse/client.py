"""The blocking client. Uses no event loop, so it works in any thread and in a notebook's cell."""

from __future__ import annotations

from ._generic import Item, OfItems
from ._options import BaseClient, outcome

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from decimal import Decimal
    import os
    from types import TracebackType
    from typing import Any, Literal, Self, TypeVar, Unpack, overload

    from . import _native, types
    from ._batch import Batch, OnError, Progress, Request
    from ._responses import (
        ChatCompletion,
        ChatCompletionChunk,
        EmbeddingResponse,
        Evaluation,
        EvaluationEvent,
        Fused,
        FusionEvent,
        FusionReport,
    )
    from ._options import Timeout
    from ._parsed import ChatCompletionStreamManager, ParsedChatCompletion
    from ._record import Record
    from ._tools import ToolRun
    from ._with_raw import RawCompletions, RawEmbeddings, StreamingCompletions, StreamingEmbeddings

    Form = TypeVar("Form")


class Stream(OfItems[Item]):
    """Chunks or events as they come. Reading it to its end, closing it or forgetting it ends the connection."""

    def __init__(self, source: _native.Stream) -> None:
        self._source = source

    def __iter__(self) -> Iterator[Item]:
        return self._source

    def __next__(self) -> Item:
        item: Item = self._source.__next__()
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream and its connection; what had not been read is dropped."""
        self._source.cancel()


class Completions:
    """``client.chat.completions``"""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def with_raw_response(self) -> RawCompletions:
        """The same methods, which give the answer with what stands around it."""
        from ._with_raw import RawCompletions

        return RawCompletions(self)

    @property
    def with_streaming_response(self) -> StreamingCompletions:
        """The same methods for a ``with``, which give the answer with its body, to be read as it comes."""
        from ._with_raw import StreamingCompletions

        return StreamingCompletions(self)

    if TYPE_CHECKING:

        @overload
        def create(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ChatCompletion: ...

        @overload
        def create(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> Stream[ChatCompletionChunk]: ...

        @overload
        def create(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            stream: Literal[False] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[Form]: ...

        @overload
        def create(
            self, *, stream: bool | None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ChatCompletion | Stream[ChatCompletionChunk]: ...

    def create(
        self, *, stream: bool | None = None, timeout: Timeout | None = None, max_reasks: int | None = None, **request: Any
    ) -> Any:
        """One answer, or with ``stream=True`` its chunks.

        Takes openai's arguments, interfuse's own (``models``, ``provider``, ``tags``, ``fusion``) and any other field,
        which goes to the vendor as it is. ``timeout`` is in seconds and covers retries too. With a type as
        ``response_format`` it is the same as ``parse``. Functions among the ``tools`` are made into tools.
        """
        client = self._client
        request = client._chat(request, timeout)
        form = request.get("response_format")
        if form is not None and not isinstance(form, dict):
            from ._structured import is_type, response_format

            if is_type(form) and not stream:
                return self._parsed(request, max_reasks)
            if is_type(form):
                request["response_format"] = response_format(form)
        if max_reasks is not None:
            raise TypeError("max_reasks is for whole answers of a type: response_format=a type, without stream")
        if stream:
            return Stream(client._native.chat_stream(request, True))
        return client._native.chat(request)

    def _parsed(self, request: dict[str, Any], max_reasks: int | None) -> Any:
        from ._structured import asking, readers_of, run

        client = self._client
        course = asking(request, 1 if max_reasks is None else max_reasks, readers_of(request))
        return run(course, client._native.chat)

    if TYPE_CHECKING:

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[Form]: ...

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[None]: ...

    def parse(self, *, timeout: Timeout | None = None, max_reasks: int | None = None, **request: Any) -> Any:
        """One answer, read into a type: ``.choices[0].message.parsed``.

        response_format: a pydantic model, a dataclass or a TypedDict.
        tools: functions, types or tools; arguments of typed ones are in ``.function.parsed_arguments``.
        max_reasks: how often an answer that does not fit is sent back with what is wrong. ``interfuse.cost_usd`` and
            ``.attempts`` are then those of all answers; ``max_cost_usd`` and ``timeout`` hold for them together.
        Everything else as for ``create``.

        Raises SchemaError for a type that the strict subset of JSON Schema can not hold, AnswerFormatError when no answer
        fits, LengthFinishReasonError and ContentFilterFinishReasonError for one that was cut off.
        """
        return self._parsed(self._client._chat(request, timeout), max_reasks)

    if TYPE_CHECKING:

        @overload
        def stream(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ChatCompletionStreamManager[Form]: ...

        @overload
        def stream(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ChatCompletionStreamManager[None]: ...

    def stream(self, *, timeout: Timeout | None = None, **request: Any) -> Any:
        """A stream as events, with the whole answer at its end:

            with client.chat.completions.stream(model=..., messages=...) as stream:
                for event in stream:
                    if event.type == "content.delta":
                        print(event.delta, end="")
                stream.get_final_completion().choices[0].message.content

        Takes what ``parse`` takes but ``max_reasks``: what has been shown is not asked for again.
        """
        from ._streaming import ChatCompletionStreamManager, State

        client = self._client
        return ChatCompletionStreamManager(
            State(client._chat(request, timeout)), lambda sent: Stream(client._native.chat_stream(sent, True))
        )


class Chat:
    """``client.chat``; calling it is short for ``client.chat.completions.create``."""

    def __init__(self, client: Client) -> None:
        self.completions = Completions(client)
        self._create = self.completions.create

    if TYPE_CHECKING:

        @overload
        def __call__(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ChatCompletion: ...

        @overload
        def __call__(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            stream: Literal[False] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[Form]: ...

        @overload
        def __call__(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> Stream[ChatCompletionChunk]: ...

    def __call__(self, **request: Any) -> Any:
        """The same as ``completions.create``."""
        return self._create(**request)


class Embeddings:
    """``client.embeddings``"""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def with_raw_response(self) -> RawEmbeddings:
        """The same methods, which give the answer with what stands around it."""
        from ._with_raw import RawEmbeddings

        return RawEmbeddings(self)

    @property
    def with_streaming_response(self) -> StreamingEmbeddings:
        """The same methods for a ``with``, which give the answer with its body, to be read as it comes."""
        from ._with_raw import StreamingEmbeddings

        return StreamingEmbeddings(self)

    if TYPE_CHECKING:

        def create(self, *, timeout: Timeout | None = None, **request: Unpack[types.EmbeddingParams]) -> EmbeddingResponse: ...

    else:

        def create(self, *, timeout=None, **request):
            """One embedding per input, in their order.

            Takes openai's arguments, interfuse's own (``models``, ``provider``, ``tags``) and any other field, which goes
            to the vendor as it is (``input_type``, ``task_type``). ``timeout`` is in seconds and covers retries too.
            """
            client = self._client
            return client._native.embeddings(client._request(request, timeout))


class Client(BaseClient):
    """One API over every inference provider, and fusion of their answers. Thread-safe; survives ``fork``; pickles
    without its keys. Making one costs microseconds and touches no network."""

    chat: Chat
    embeddings: Embeddings

    def _build(self) -> None:
        super()._build()
        self.chat = Chat(self)
        self.embeddings = Embeddings(self)

    def run_tools(
        self,
        messages: str | Sequence[types.Message | Record],
        *,
        tools: Sequence[types.Tool | Callable[..., Any]],
        model: str,
        max_steps: int = 10,
        max_cost_usd: str | None = None,
        max_reasks: int = 1,
        timeout: Timeout | None = None,
        **request: Any,
    ) -> ToolRun:
        """Asks a model that may call functions, calls them and tells it what came, until it answers without calling any.

        messages: the conversation, or a question as text.
        tools: functions; ``interfuse.function_tool`` says how they are told to the model. What one raises is told to the
            model, too.
        max_steps: most times the model is asked.
        max_cost_usd: most that all steps together may cost, as text ("0.05").
        max_reasks: as for ``parse``, where `response_format` is a type; then the result has ``parsed``.
        timeout: seconds for the whole.
        Everything else goes to every step.

        Returns a ToolRun: ``text``, ``messages``, ``calls``, ``cost_usd``, ... Raises MaxStepsError when the model still calls
        functions after the last step, and BudgetExceededError when another step might cost more than is left; these, and any
        other failure on the way, have what was done in ``run``.
        """
        from ._structured import run
        from ._tools import calling, made

        request.update(model=model, tools=tools)
        if max_cost_usd is not None:
            request["max_cost_usd"] = max_cost_usd
        course = calling(self._chat(request, timeout), messages, max_steps, max_reasks, waits=False)
        run_: ToolRun = run(course, lambda asked: made(asked) if isinstance(asked, list) else self._native.chat(asked))
        return run_

    if TYPE_CHECKING:

        @overload
        def fuse(
            self,
            prompt: str | None = None,
            *,
            stream: Literal[False] | None = None,
            timeout: Timeout | None = None,
            **request: Unpack[types.FuseParams],
        ) -> Fused: ...

        @overload
        def fuse(
            self,
            prompt: str | None = None,
            *,
            stream: Literal[True],
            timeout: Timeout | None = None,
            **request: Unpack[types.FuseParams],
        ) -> Stream[FusionEvent]: ...

    def fuse(
        self, prompt: str | None = None, *, stream: bool | None = None, timeout: Timeout | None = None, **request: Any
    ) -> Any:
        """Asks a pool of models in parallel, has a judge combine the answers, and tells how it came about.

        prompt: the question; or ``messages=[...]``.
        stream: gives the run's events instead; the last one, ``run_done``, has the answer in ``result``.
        timeout: seconds for the whole fusion.
        pool: models, or objects with ``model`` and what this member alone gets, or a pool's name in the configuration.
        judge: the model that compares; the pool's first by default.
        mode: ``merge`` (default), ``best_of`` or ``debate``.
        max_cost_usd: most the whole may cost, as text ("0.05").
        Everything else goes to every member.
        """
        request = self._fusion(prompt, request, timeout)
        if stream:
            return Stream(self._native.fuse_stream(request, True))
        return self._native.fuse(request)

    def fuse_stream(
        self, prompt: str | None = None, *, timeout: Timeout | None = None, **request: Unpack[types.FuseParams]
    ) -> Stream[FusionEvent]:
        """The same as ``fuse(..., stream=True)``."""
        return self.fuse(prompt, stream=True, timeout=timeout, **request)

    if TYPE_CHECKING:

        @overload
        def evaluate(
            self,
            items: str | os.PathLike[str] | Sequence[types.Labelled],
            *,
            stream: Literal[False] | None = None,
            timeout: Timeout | None = None,
            **request: Unpack[types.EvaluationParams],
        ) -> Evaluation: ...

        @overload
        def evaluate(
            self,
            items: str | os.PathLike[str] | Sequence[types.Labelled],
            *,
            stream: Literal[True],
            timeout: Timeout | None = None,
            **request: Unpack[types.EvaluationParams],
        ) -> Stream[EvaluationEvent]: ...

    def evaluate(self, items: Any, *, stream: bool | None = None, timeout: Timeout | None = None, **request: Any) -> Any:
        """Asks models and fusions the same questions and tells what each is worth: accuracy with its interval, cost, latency,
        calls, wins and losses beside the best single model, and what to use. ``.to_text()`` are tables for people.

        items: questions with ``prompt`` and, where it is known, the right answer ``gold``; or the path of a file with one a line.
        stream: gives events instead: ``progress`` after every item, and last ``done`` with the evaluation in ``result``.
        timeout: seconds for each answer.
        models: the single models, as members of a pool.
        fusions: fusions by names of your own, each with the options of ``fuse``.
        judge: says of answers to items without ``gold`` whether they are right; it must take no part.
        checkpoint: a file to go on from: what stands in it is not asked again, also after Ctrl-C.
        report: where a page is written.
        max_cost_usd: most that all may cost, as text ("0.50").
        """
        request = self._evaluation(items, request, timeout)
        if stream:
            return Stream(self._native.evaluate_stream(request, True))
        return self._native.evaluate(request)

    def batch(
        self,
        requests: Iterable[Request],
        *,
        concurrency: int | None = None,
        budget: str | float | Decimal | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        retry_failed: bool = False,
        ordered: bool = True,
        on_error: OnError = "column",
        progress: Progress = None,
        timeout: Timeout | None = None,
        **common: Any,
    ) -> Batch:
        """Answers many requests, a few at a time: ``for row in client.batch(prompts, model="openai/gpt-5-mini"): row.text``.
        ``.to_list()`` and ``.to_pandas()`` give all rows at once, ``.report`` and ``.summary()`` tell what it came to.

        requests: texts, lists of messages, or whole requests as dicts; also a generator, which is asked as there is room, so that
            there may be any number, or a column of pandas, polars or Arrow.
        concurrency: requests worked on at the same time, 1 to 1024; 16 by default.
        budget: most that all may cost, in USD ("2.50"). The most that an attempt may cost is held before it is made, so give
            `max_tokens` too. Rows that do not fit are not asked and have ``error.kind == "budget_exceeded"``.
        checkpoint: a file to go on from: what stands in it is not asked again, also after Ctrl-C or a crash.
        retry_failed: asks rows again that stand in the checkpoint with an error.
        ordered: rows come in the order of the requests; else as they finish.
        on_error: ``"column"`` gives rows with an ``error``, ``"drop"`` leaves them out, ``"raise"`` raises it where the row would
            come and cancels the rest.
        progress: by default a bar of tqdm where that is installed, else a line on a terminal; False: none; or a function.
        timeout: seconds for each request.
        Everything else goes to every request that does not say it itself: ``model``, ``temperature``, ``tags``, ``fusion``, ...
        """
        from ._batch import Batch, options

        given = options(self._chat(common, timeout), requests, concurrency, budget, checkpoint, retry_failed, ordered)
        return Batch(self._native.batch(given), requests, on_error, progress)

    def rejudge(
        self,
        report: FusionReport,
        prompt: str | None = None,
        *,
        timeout: float | None = None,
        **request: Unpack[types.FuseParams],
    ) -> Fused:
        """Combines the answers that a fusion's report holds once more: with another judge, in another mode or by other priors.
        No member is asked, so that only judges cost anything. ``interfuse.replay`` makes the same decision again instead.

        report: ``fused.report``, also one that was stored as JSON.
        prompt: the question; or ``messages=[...]``.
        pool: some of the report's members, with a ``prior`` each where one is wanted; all of them by default.

        The rest is as in ``fuse``; a debate would ask the members again and is refused.
        """
        return self._native.rejudge(report, self._fusion(prompt, request, timeout))  # type: ignore[arg-type]

    def feedback(self, run_id: str, *, right: bool | None = None, answer: str | None = None, member: str | None = None) -> None:
        """Tells what became of a fusion, which moves the chances to be right that its members and its judge are taken to have
        in the fusions that follow: of this client, or with ``{"fusion": {"memory": "file.json"}}`` in the configuration of
        every client that names the file. A run counts once, and one of these says what became of it:

        run_id: the result's ``id``.
        right: whether the answer was right.
        answer: the right answer.
        member: id of the member whose answer was best.

        Raises NotFoundError for a run that is not among the last 1024 of this client or had its feedback, and StorageError when
        the file cannot be written.
        """
        self._native.feedback(run_id, outcome(right, answer, member))

    def flush(self) -> None:
        """Returns when everything booked so far is in the ledger's file for good, which takes milliseconds as a rule. A
        ledger in memory has nothing to do. Closing the client and the end of the process do the same.

        Raises StorageError when something could not be written; it is tried again with what follows."""
        self._native.flush()

    def close(self) -> None:
        """Ends the use of this client and writes what waits for its ledger's file; later calls raise MisuseError. Calls in
        flight are not touched.

        Raises StorageError when something could not be written."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
