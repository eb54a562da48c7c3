"""What Client and AsyncClient have in common: where the configuration comes from, and what is added to each request."""

from __future__ import annotations

import atexit
import os

from ._native import Native, after_fork, before_fork, flush_ledgers
from .errors import ConfigError, MisuseError, NotFoundError, UnsupportedError

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
    import datetime
    from typing import Any, NoReturn, Protocol, Self, Unpack, overload

    from . import types
    from ._ledger import Ledger
    from ._responses import BudgetState, CostEstimate, Explanation, LoadedPrices, ModelInfo, ProviderInfo, Reconciliation
    from ._tables import Records, Usage

    class HttpxTimeout(Protocol):
        """What httpx' ``Timeout`` is: seconds, or None."""

        @property
        def connect(self) -> float | None: ...
        @property
        def read(self) -> float | None: ...
        @property
        def write(self) -> float | None: ...
        @property
        def pool(self) -> float | None: ...

    Timeout = float | HttpxTimeout
    When = datetime.datetime | datetime.date | float | str

_OWN = "default"
"""Name of the provider that `base_url` without `provider` makes."""

# Headers that may carry a credential do not travel in a pickle.
_SECRET_WORDS = ("auth", "key", "token", "secret", "cookie")

atexit.register(flush_ledgers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork)


class BaseClient:
    """Configuration and per-request defaults; no network."""

    _native: Native
    _defaults: dict[str, Any]
    _waits: Callable[[Any], Any] | None = None
    models: Models

    def __init__(
        self,
        config: types.Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        provider: str | None = None,
        api_key: str | Callable[[], str | Awaitable[str]] | None = None,
        base_url: str | None = None,
        providers: Mapping[str, types.ProviderConfig | Mapping[str, Any]] | None = None,
        timeout: Timeout | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """
        config: a dict, or the path of a TOML or JSON file; else the file named by ``INTERFUSE_CONFIG``; else every
            vendor's usual key variables, read now.
        provider: the backend of every request that names none.
        api_key: key for `provider` or `base_url`; it is never sent anywhere else. A function that gives the key is asked
            before every request, on a thread of its own; AsyncClient also takes an async one.
        base_url: any OpenAI-compatible server (``http://localhost:8000/v1``); serves every request that names no provider.
        providers: backends, laid over those of the configuration. `api_key` may be a function here too, and
            `credentials` a session of boto3, a function that gives an AWS account's keys as a dict or tuple, or one that gives
            an access token (Azure, Google Cloud).
        timeout: seconds for one whole call, retries included; or an object like httpx.Timeout, whose ``read`` is the longest
            silence.
        max_retries: retries after the first attempt, per target.
        default_headers: added to every request.
        tags: labels for the ledger (``{"project": "search"}``).

        Raises ConfigError naming the place of the fault, and StorageError for a ledger that cannot be opened
        (``{"ledger": {"path": "calls.db"}}`` keeps it in a file). Does not touch the network.
        """
        given: dict[str, Any] = dict(providers or {})
        own: dict[str, Any] = {}
        if base_url is not None:
            provider = provider or _OWN
            own["base_url"] = base_url
        if api_key is not None:
            if provider is None:
                raise ConfigError(
                    "api_key without a provider: a key belongs to one vendor. Write Client(provider='openai', api_key=...), "
                    "or Client(base_url=..., api_key=...) for a server of your own."
                )
            own["api_key"] = api_key
        if isinstance(config, os.PathLike):
            config = os.fspath(config)
        if own and provider is not None:
            given[provider] = {**given.get(provider, {}), **own}
        self._native = self._open(config, given)
        self._defaults = _defaults(provider, timeout, max_retries, default_headers, tags)
        self._build()

    def _open(self, config: Any, providers: dict[str, Any]) -> Native:
        """The native client; what only Python can call is handed to it apart from the configuration."""
        settings: Any = {} if config is None or isinstance(config, str) else config
        inner = settings.get("providers")
        if not _has_sources(inner) and not _has_sources(providers):
            return Native(config, providers, {})
        from ._keys import without_sources

        wait = self._waits = self._waiting()
        sources: dict[str, Any] = {}
        if inner is not None:
            inner, sources = without_sources(inner, wait)
            config = {**settings, "providers": inner}
        providers, over = without_sources(providers, wait)
        for name, given in providers.items():
            if given.get("api_key") or given.get("credentials"):
                sources.pop(name, None)
        return Native(config, providers, {**sources, **over})

    def _waiting(self) -> Callable[[Any], Any] | None:
        """What runs an awaitable on the event loop of the calls; None where there is none."""
        return None

    def with_options(
        self,
        *,
        provider: str | None = None,
        timeout: Timeout | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Self:
        """A client with other defaults that shares connections and ledger with this one; headers and tags are added."""
        changed = _defaults(provider, timeout, max_retries, default_headers, tags)
        twin = self._twin(self._native, _merged(changed, self._defaults))
        twin._waits = self._waits
        return twin

    copy = with_options

    @classmethod
    def _twin(cls, native: Native, defaults: dict[str, Any]) -> Self:
        client = cls.__new__(cls)
        client._native, client._defaults = native, defaults
        client._build()
        return client

    def _build(self) -> None:
        """Attaches what a client offers under names of its own."""
        self.models = Models(self)

    def _request(self, request: dict[str, Any], timeout: Timeout | None) -> dict[str, Any]:
        """The caller's arguments with this client's defaults."""
        if timeout is not None:
            _merged(request, timeouts(timeout))
        if "extra_query" in request:
            _without_query(request)
        return _merged(request, self._defaults) if self._defaults else request

    def _chat(self, request: dict[str, Any], timeout: Timeout | None) -> dict[str, Any]:
        """The same of a chat, with functions and types among its tools made into tools."""
        if request.get("tools"):
            from ._tools import prepared

            request["tools"] = prepared(request["tools"])
        return self._request(request, timeout)

    def _fusion(self, prompt: str | None, request: dict[str, Any], timeout: Timeout | None) -> dict[str, Any]:
        if prompt is not None:
            request["prompt"] = prompt
        request = self._request(request, timeout)
        # Of a fusion, a timeout is the deadline of the whole.
        deadline = request.pop("timeout_ms", None)
        if deadline is not None:
            request.setdefault("deadline_ms", deadline)
        return request

    def _evaluation(
        self, items: str | os.PathLike[str] | Sequence[types.Labelled], request: dict[str, Any], timeout: Timeout | None
    ) -> dict[str, Any]:
        request["items"] = os.fspath(items) if isinstance(items, (str, os.PathLike)) else list(items)
        return self._request(request, timeout)

    if TYPE_CHECKING:

        def explain(self, **request: Unpack[types.ChatParams]) -> Explanation: ...

    else:

        def explain(self, **request):
            """How the backend of a chat would be chosen now: who is considered, who is left out and why, in which order.
            Takes what ``chat.completions.create`` takes and sends nothing. When nobody is left, ``refused`` is the error
            that a call would end with."""
            return self._native.explain(self._request(request, None))

    if TYPE_CHECKING:

        @overload
        def estimate(self, **request: Unpack[types.ChatParams]) -> CostEstimate: ...

        @overload
        def estimate(self, prompt: str | None = None, **request: Unpack[types.FuseParams]) -> CostEstimate: ...

        def estimate(self, prompt: str | None = None, **request: Any) -> CostEstimate: ...

    else:

        def estimate(self, prompt=None, **request):
            """What a request may cost: hardly less, likely, at most. Takes what ``chat.completions.create`` or ``fuse``
            takes and sends nothing; of a chat it is told for every place it may go to, of a fusion stage by stage."""
            if prompt is not None:
                request["prompt"] = prompt
            return self._native.estimate(self._request(request, None))

    def budgets(self) -> list[BudgetState]:
        """Where the configured budgets stand: spent, held for attempts under way, left. A budget with ``each`` has a row
        for every value that there was."""
        return self._native.budgets()

    def usage(
        self,
        by: str | Sequence[str] = (),
        *,
        since: When | None = None,
        until: When | None = None,
        where: Mapping[str, str] | None = None,
        time_zone: str | None = None,
        latencies: bool = False,
    ) -> Usage:
        """What this client's calls used and cost, with a ledger in a file everybody's who books there: ``.rows``, ``.total``, and as a table (``.to_pandas()``, ``.to_polars()``, ``.to_csv()``,
        ``pyarrow.table(...)``).

        by: one row for each value of these together; nothing means one row. ``provider``, ``model``, ``model_sent``,
            ``model_served``, ``served_by``, ``endpoint``, ``key``, ``purpose``, ``kind``, ``outcome``, ``error``,
            ``confidence``, ``run_id``, ``hour``, ``day``, ``week``, ``month``, or the name of a tag (``tag:day`` where a name
            hides it).
        since, until: a datetime or date, seconds since 1970-01-01 UTC, or text: ``"2026-10-01"``, ``"2026-10-01T16:30"``,
            ``"7d"`` ago. What is until a date ends with its first instant.
        where: only attempts with these values.
        time_zone: whose hours, days, weeks and months are meant (``"Europe/Berlin"``); UTC by default.
        latencies: whether rows tell how long answers took.
        """
        from ._tables import Usage

        query = self._query(by, since, until, where, time_zone)
        return Usage(self._native.usage({**query, "latencies": latencies}))

    def records(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        where: Mapping[str, str] | None = None,
        time_zone: str | None = None,
    ) -> Records:
        """The ledger's records, oldest first: one for each attempt, whatever became of it. Read a few at a time; as a table
        with ``.to_pandas()``, ``.to_polars()``, ``.to_csv()``, ``pyarrow.table(...)``. The arguments are those of ``usage``."""
        from ._tables import Records

        return Records(self._native, self._query((), since, until, where, time_zone))

    def usage_html(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        since: When | None = None,
        until: When | None = None,
        where: Mapping[str, str] | None = None,
        time_zone: str | None = None,
    ) -> str | None:
        """A page for people: totals, charts and tables in one HTML file that needs no network and runs no script. Given as
        text, or written to `path`. The other arguments are those of ``usage``."""
        request = {"format": "html", "query": self._query((), since, until, where, time_zone)}
        if path is None:
            return self._native.export(request).decode()
        self._native.export_file(request, os.fspath(path))
        return None

    @property
    def ledger(self) -> Ledger:
        """What leaves the ledger for other programs: ``client.ledger.export_focus("october.csv")``."""
        from ._ledger import Ledger

        return Ledger(self)

    def _query(
        self,
        by: str | Sequence[str],
        since: When | None,
        until: When | None,
        where: Mapping[str, str] | None,
        time_zone: str | None,
    ) -> dict[str, Any]:
        query: dict[str, Any] = {"by": [by] if isinstance(by, str) else list(by), "where": dict(where or {})}
        if time_zone is not None:
            query["time_zone"] = time_zone
        for name, moment in (("since", since), ("until", until)):
            if moment is None:
                continue
            if isinstance(moment, str):
                query[name] = moment
            elif isinstance(moment, (int, float)):
                query[f"{name}_ms"] = max(0, int(moment * 1000))
            elif (timestamp := getattr(moment, "timestamp", None)) is not None:  # a date has none
                query[f"{name}_ms"] = max(0, int(timestamp() * 1000))
            else:
                query[name] = moment.isoformat()
        return query

    def load_prices(self, source: str | bytes | os.PathLike[str]) -> LoadedPrices:
        """Takes the prices of a published list; they hold for calls that begin from now on. Returns what was taken, and
        which rows were refused.

        source: a file's path, or the document itself as bytes: LiteLLM's map, models.dev's ``api.json``, the list of models
        of OpenRouter or of Hugging Face's router, or genai-prices' ``data.json``, seen from its shape. Configured prices
        outrank it, and it outranks the catalogue's.
        """
        if not isinstance(source, bytes):
            with open(source, "rb") as file:
                source = file.read()
        return self._native.load_prices(source)

    def reconcile(
        self,
        *reports: str | os.PathLike[str] | bytes | tuple[str, bytes],
        provider: str | None = None,
        tolerance: str | None = None,
        keys: Mapping[str, str] | None = None,
        post: bool = False,
    ) -> Reconciliation:
        """Compares vendors' own reports with the ledger and says why they differ.

        reports: files' paths, or reports as bytes, or pairs of a name and bytes: costs and usage of OpenAI, usage and cost
            report of Anthropic, activity and generations of OpenRouter, usage by resource group of Hugging Face, AWS CUR 2.0,
            and FOCUS of AWS, Azure and others, seen from their shape. Files that end in ``.gz`` are unpacked.
        provider: whose reports these are, where they do not tell.
        tolerance: the most that may stay unexplained of a model's day, ``"0.5%"`` by default; ``ok`` says whether it holds.
        keys: names of keys here by the vendor's ids for them.
        post: posts the differences as corrections, which ``usage`` shows beside the cost; the same report again posts nothing.
        """
        options: dict[str, Any] = {"provider": provider, "tolerance": tolerance, "keys": dict(keys or {}), "post": post}
        return self._native.reconcile([_report(report, at) for at, report in enumerate(reports, 1)], options)

    def providers(self) -> list[ProviderInfo]:
        """Backends, with whether a key was found and where; never the key."""
        return self._native.providers()

    def _close(self) -> None:
        native, self._native = self._native, Closed()  # type: ignore[assignment]
        if not isinstance(native, Closed):
            native.flush()

    def __reduce__(self) -> tuple[Any, ...]:
        defaults = dict(self._defaults)
        defaults["extra_headers"] = _public(defaults.get("extra_headers") or {})
        return _restored, (type(self), _without_secrets(self._native.config()), defaults)

    def __repr__(self) -> str:
        return f"interfuse.{type(self).__name__}()"


def _report(report: str | os.PathLike[str] | bytes | tuple[str, bytes], at: int) -> tuple[str, bytes]:
    """A report's name and bytes."""
    if isinstance(report, tuple):
        return report
    if isinstance(report, bytes):
        return f"report {at}", report
    name = os.fspath(report)
    with open(name, "rb") as file:
        content = file.read()
    if name.endswith(".gz"):
        import gzip

        content = gzip.decompress(content)
    return os.path.basename(name), content


def outcome(right: bool | None, answer: str | None, member: str | None) -> dict[str, Any]:
    """What became of a fusion, as the core takes it."""
    given = {"right": right, "answer": answer, "member": member}
    return {name: value for name, value in given.items() if value is not None}


class ModelList(list["ModelInfo"]):
    """Models. A list, which also has openai's ``data`` and can be read with ``async for``."""

    @property
    def data(self) -> list[ModelInfo]:
        """The models."""
        return self

    async def __aiter__(self) -> AsyncIterator[ModelInfo]:
        for model in self:
            yield model

    def __await__(self) -> Generator[Any, Any, ModelList]:
        return self
        yield


class Models:
    """``client.models``"""

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def list(self) -> ModelList:
        """Models of the catalogue, with who serves them at what price. Asks no vendor."""
        return ModelList(self._client._native.models())

    def retrieve(self, model: str) -> ModelInfo:
        """One of them, by its id. Raises NotFoundError for one that is not in the catalogue."""
        for known in self._client._native.models():
            if known.id == model:
                return known
        raise NotFoundError(f"there is no model {model!r} in the catalogue", {"kind": "not_found", "param": "model"})


class Closed:
    """Stands in for the native client after close()."""

    def __getattr__(self, name: str) -> NoReturn:
        raise MisuseError("this client is closed; make a new one")


def _has_sources(providers: Mapping[str, Any] | None) -> bool:
    """Whether any key is something to be called."""
    return any(
        callable(given.get("api_key")) or (given.get("credentials") is not None and not hasattr(given["credentials"], "items"))
        for given in (providers or {}).values()
        if hasattr(given, "get")
    )


def timeouts(timeout: Timeout) -> dict[str, Any]:
    """A timeout as the core's requests have it: seconds for the whole call, or httpx' object."""
    if isinstance(timeout, (int, float)):
        return {"timeout_ms": milliseconds(timeout)}
    parts = {"connect": ("dns_connect_ms", "tls_ms"), "read": ("first_byte_ms", "idle_ms"), "write": ("write_ms",), "pool": ("pool_wait_ms",)}
    try:
        seconds = {part: getattr(timeout, part) for part in parts}
    except AttributeError:
        raise TypeError(f"timeout is a number of seconds, or an object like httpx.Timeout, not {timeout!r}") from None
    given = {name: milliseconds(value) for part, value in seconds.items() if value is not None for name in parts[part]}
    return {"timeouts": given} if given else {}


def _without_query(request: dict[str, Any]) -> None:
    if request.pop("extra_query", None):
        raise UnsupportedError(
            "extra_query is not honoured: each backend has its own addresses; write it into the base_url of a provider of yours",
            {"kind": "unsupported", "param": "extra_query"},
        )


def milliseconds(seconds: float) -> int:
    """Seconds as the core counts them; at least one millisecond."""
    if not seconds > 0:
        raise ValueError(f"timeout is in seconds and must be more than 0, not {seconds!r}")
    return max(1, round(seconds * 1000))


def _defaults(
    provider: str | None,
    timeout: Timeout | None,
    max_retries: int | None,
    headers: Mapping[str, str] | None,
    tags: Mapping[str, str] | None,
) -> dict[str, Any]:
    given = {
        "provider": provider,
        **({} if timeout is None else timeouts(timeout)),
        "max_retries": max_retries,
        "extra_headers": dict(headers) if headers else None,
        "tags": dict(tags) if tags else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _merged(request: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in defaults.items():
        given = request.get(name)
        if given is None:
            request[name] = value
        elif isinstance(value, dict) and isinstance(given, dict):
            request[name] = {**value, **given}
    return request


def _public(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not any(word in name.lower() for word in _SECRET_WORDS)}


def _without_secrets(config: dict[str, Any]) -> dict[str, Any]:
    """The core never writes keys back; headers of a user's own are up to us."""
    for provider in (config.get("providers") or {}).values():
        if "headers" in provider:
            provider["headers"] = _public(provider["headers"])
    return config


def _restored(cls: type[BaseClient], config: dict[str, Any], defaults: dict[str, Any]) -> BaseClient:
    return cls._twin(Native(config, {}, {}), {k: v for k, v in defaults.items() if v})
