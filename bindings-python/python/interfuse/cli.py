"""The command ``interfuse``: ask one model, fuse several, and see what is configured. Standard library only."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import InterfuseError, StorageError, __version__, local
from ._calibrate import calibrate
from ._evaluating import MODES, Bar, fusions, usd
from ._files import whole
from ._native import labelled, render_fused, render_reconciliation
from ._replay import replay
from .client import Client

if TYPE_CHECKING:
    from ._responses import Evaluation, ExplainedCandidate, Fused, FusionEvent, FusionReport

EPILOG = """keys are taken from every vendor's usual variable (OPENAI_API_KEY, ANTHROPIC_API_KEY, ...); `interfuse doctor` says
which were found. No key at hand: `interfuse local install`, then `interfuse fuse --local "your question"`. What is asked
is booked in a ledger in your data folder; INTERFUSE_LEDGER names another file, or `off`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0 when it did what was asked."""
    arguments = _parser().parse_args(argv)
    if getattr(arguments, "command", None) == "local":
        return local.main(arguments.rest)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader left (`| head`); nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (InterfuseError, local.LocalUnavailable, ValueError, OSError) as e:
        _complain(e)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="interfuse", description="One API over every inference provider, and fusion of their answers.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"interfuse {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Any, about: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=about, description=about)
        found.set_defaults(run=run, command=name)
        return found

    def asking(found: argparse.ArgumentParser) -> None:
        found.add_argument("prompt", help="the question; - reads it from standard input")
        found.add_argument("--system", help="instructions put before the question")
        found.add_argument("--temperature", type=float, help="0 to 2")
        found.add_argument("--max-tokens", type=int, help="most tokens of an answer")
        found.add_argument("--timeout", type=float, metavar="S", help="seconds for the whole call")
        found.add_argument("--json", action="store_true", help="print the whole result as JSON")
        configured(found)

    def configured(found: argparse.ArgumentParser) -> None:
        found.add_argument("--config", metavar="FILE", help="TOML or JSON configuration; INTERFUSE_CONFIG by default")
        found.add_argument(
            "--prices", metavar="FILE", action="append", default=[],
            help="a price list (of LiteLLM, models.dev, OpenRouter, Hugging Face or genai-prices) that outranks the built-in one",
        )

    chat = command("chat", _chat, "Ask one model; its answer is printed as it comes.")
    asking(chat)
    chat.add_argument("--model", "-m", help="provider/model, for example openai/gpt-5-mini")
    chat.add_argument("--local", action="store_true", help="ask the small model on this machine")

    fuse = command("fuse", _fuse, "Ask several models in parallel and have a judge fuse their answers.")
    asking(fuse)
    fuse.add_argument("--pool", metavar="A,B,C", help="models, or the name of a pool in the configuration")
    fuse.add_argument("--judge", metavar="MODEL", help="the model that compares; the pool's first by default")
    fuse.add_argument("--mode", choices=MODES, help="auto by default")
    fuse.add_argument("--max-cost", metavar="USD", help="most the whole may cost, for example 0.05")
    fuse.add_argument("--html", metavar="FILE", help="also write the story of the answer as a page for a browser")
    fuse.add_argument("--local", action="store_true", help="three members and a judge of a small model on this machine")

    again = command("rejudge", _rejudge, "Judge the answers of a stored fusion anew; no member is asked.")
    again.add_argument("file", help="what `interfuse fuse --json` printed, or its report; - for standard input")
    asking(again)
    again.add_argument("--judge", metavar="MODEL", help="the model that judges; the first member's by default")
    again.add_argument("--mode", choices=MODES, help="auto by default")
    again.add_argument("--max-cost", metavar="USD", help="most that judging may cost, for example 0.05")
    replayed = command("replay", _replay, "Make the decision of a stored fusion again; nobody is asked. Status 1 where it differs.")
    replayed.add_argument("file", help="what `interfuse fuse --json` printed, or its report; - for standard input")
    replayed.add_argument("--json", action="store_true", help="print the whole result as JSON")

    judged = command("eval", _eval, "Ask models and fusions the same questions, and tell what each is worth and which to use.")
    judged.add_argument("items", metavar="ITEMS.jsonl", help="one JSON object a line: prompt, and gold where the right answer is known")
    judged.add_argument("--model", "-m", action="append", default=[], required=True, help="a single model; may be given again")
    judged.add_argument(
        "--fuse", action="append", default=[], metavar="FUSION",
        help='a fusion: a mode (of all models given), or options as JSON such as {"mode": "vote", "pool": [...]}; '
        "NAME=... gives it a name; may be given again",
    )
    judged.add_argument("--judge", metavar="MODEL", help="says of answers to items without gold whether they are right; takes no part itself")
    judged.add_argument("--checkpoint", metavar="FILE", help="keeps what is done, and goes on from there")
    judged.add_argument("--max-cost-usd", metavar="USD", help="most that all may cost together, earlier runs with the checkpoint included")
    judged.add_argument("--concurrency", type=int, metavar="N", help="items worked on at the same time; 4 by default")
    judged.add_argument("--system", help="instructions put before every question")
    judged.add_argument("--temperature", type=float, help="0 to 2")
    judged.add_argument("--max-tokens", type=int, help="most tokens of an answer")
    judged.add_argument("--timeout", type=float, metavar="S", help="seconds for each answer")
    judged.add_argument("--html", metavar="FILE", help="also write a page")
    judged.add_argument("--json", action="store_true", help="print the whole result as JSON")
    configured(judged)

    explain = command("explain", _explain, "Which backend a question would go to, and why. Sends nothing.")
    asking(explain)
    explain.add_argument("--model", "-m", required=True, help="a model, for example openai/gpt-oss-120b:cheapest")
    explain.add_argument("--provider", help="a backend's name, or preferences as JSON")
    measured = command("calibrate", _calibrate, "From answers to questions whose answer is known: how good each model is, and whom to ask.")
    measured.add_argument("file", help="one JSON object a line: prompt, gold, answers {model: text}; - reads standard input")
    measured.add_argument("--json", action="store_true", help="print the whole result as JSON")

    compared = command("reconcile", _reconcile, "Compare vendors' own reports with the ledger; ends with 1 where too much stays unexplained.")
    compared.add_argument(
        "file", nargs="+",
        help="a report of OpenAI, Anthropic, OpenRouter, Hugging Face, AWS (CUR 2.0, FOCUS), Azure (FOCUS) or anybody's FOCUS",
    )
    compared.add_argument("--provider", help="whose reports these are, where they do not tell")
    compared.add_argument("--tolerance", metavar="SHARE", help="most that may stay unexplained of a model's day; 0.5%% by default")
    compared.add_argument(
        "--key", metavar="ID=NAME", action="append", default=[], help="name here of the key that the vendor calls so; may be given again"
    )
    compared.add_argument("--post", action="store_true", help="post the differences to the ledger as corrections")
    compared.add_argument("--format", choices=["table", "json"], default="table", help="table by default")
    configured(compared)
    def asked(found: argparse.ArgumentParser) -> None:
        found.add_argument("--since", metavar="WHEN", help="a date, a time, or how long ago: 2026-10-01, 2026-10-01T16:30, 7d, 24h")
        found.add_argument("--until", metavar="WHEN", help="the same; a date is its first instant")
        found.add_argument("--where", metavar="NAME=VALUE", action="append", default=[], help="only attempts with this value")
        found.add_argument("--time-zone", metavar="ZONE", help="whose days are meant, for example Europe/Berlin; UTC by default")
        found.add_argument("--config", metavar="FILE", help="TOML or JSON configuration; INTERFUSE_CONFIG by default")

    usage = command("usage", _usage, "What calls used and cost, from the ledger.")
    usage.add_argument(
        "--by", metavar="A,B", default="provider",
        help="tags or provider, model, endpoint, key, purpose, kind, outcome, error, hour, day, week, month, ...; none for one sum",
    )
    usage.add_argument("--latencies", action="store_true", help="tell how long answers took")
    usage.add_argument("--format", choices=["table", "csv", "json"], default="table")
    usage.add_argument("--html", metavar="FILE", help="write a page with charts instead")
    asked(usage)
    export = command("export", _export, "Write charges or records out of the ledger.")
    export.add_argument("--focus", choices=["1.2", "1.3", "1.4"], help="charges in the FinOps specification FOCUS; 1.4 by default")
    export.add_argument("--records", choices=["csv", "json"], help="every record instead")
    export.add_argument("--parquet", action="store_true", help="FOCUS as Parquet, which needs pyarrow or polars")
    export.add_argument("--output", "-o", metavar="FILE", help="where to; standard output by default")
    asked(export)

    models = command("models", _models, "Models of the catalogue: who serves them, at what price.")
    models.add_argument("words", nargs="*", help="only models whose name has all of these")
    models.add_argument("--json", action="store_true", help="print the whole result as JSON")
    configured(models)
    providers = command("providers", _providers, "Backends, and whether a key was found for each.")
    providers.add_argument("--json", action="store_true", help="print the whole result as JSON")
    configured(providers)
    doctor = command("doctor", _doctor, "What is installed, which keys are found, what can be used.")
    configured(doctor)
    own = command("local", None, "A small real model on this machine: install, status.")
    own.add_argument("rest", nargs="*", metavar="install|status")
    return parser


def _client(arguments: argparse.Namespace, *, asks: bool = False) -> Client:
    client = Client(arguments.config)
    if asks:
        client = _booked(client)
    for path in arguments.prices:
        loaded = client.load_prices(path)
        for why in loaded.refused:
            print(f"{path}: refused {why}", file=sys.stderr)
    return client


def _ledger() -> Path | None:
    """The file in which this user's calls are booked when nothing else is said; None for none."""
    named = os.environ.get("INTERFUSE_LEDGER")
    if named:
        return None if named == "off" else Path(named)
    if sys.platform == "win32":
        data = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        # By the rules of XDG a path that is not absolute does not count.
        given = os.environ.get("XDG_DATA_HOME", "")
        data = given if os.path.isabs(given) else Path.home() / ".local" / "share"
    return Path(data) / "interfuse" / "ledger.db"


def _booked(client: Client) -> Client:
    """The client with its ledger where the environment says, else where the configuration says, else in the user's data."""
    named = os.environ.get("INTERFUSE_LEDGER")
    if not named and (client._native.config().get("ledger") or {}).get("path"):
        return client
    path = _ledger()
    try:
        if path is not None and not named:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        native = client._native.with_ledger(None if path is None else str(path))
    except (OSError, StorageError) as e:
        if named:
            raise
        # Nobody asked for this file, so an answer does not depend on it.
        print(f"warning: this is not booked in a ledger: {_printable(str(e))}", file=sys.stderr)
        return client
    return Client._twin(native, client._defaults)


def _close(client: Client) -> None:
    """Writes what waits for the ledger. That it cannot be written does not make the answer a failure."""
    try:
        client.close()
    except StorageError as e:
        print(f"warning: this may be missing from the ledger: {_printable(str(e))}", file=sys.stderr)


def _chat(arguments: argparse.Namespace) -> int:
    if arguments.local:
        with local.LocalServer() as server:
            client = _booked(Client(server.config()))
            return _print_chat(client, arguments, model=server.model, provider=local.PROVIDER)
    if not arguments.model:
        raise ValueError("which model? `--model openai/gpt-5-mini`, or `--local` for the small one on this machine")
    return _print_chat(_client(arguments, asks=True), arguments, model=arguments.model)


def _print_chat(client: Client, arguments: argparse.Namespace, **target: str) -> int:
    request = {**_shared(arguments), "messages": _messages(arguments), **target}
    try:
        return _print_answer(client, request, arguments.json)
    finally:
        _close(client)


def _print_answer(client: Client, request: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(client.chat.completions.create(**request).to_json())
        return 0
    wrote = False
    with client.chat.completions.create(stream=True, **request) as chunks:
        for chunk in chunks:
            for choice in chunk.choices[:1]:
                if text := choice.delta.content:
                    print(_printable(text) if sys.stdout.isatty() else text, end="", flush=True)
                    wrote = True
    if not wrote:
        print("the model answered without text (see --json)", file=sys.stderr)
    print()
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    request = {**_shared(arguments), "messages": _messages(arguments), "model": arguments.model}
    if arguments.provider:
        given = arguments.provider.strip()
        request["provider"] = json.loads(given) if given.startswith("{") else given
    # There is no call that could take long.
    request.pop("timeout", None)
    told = Client(arguments.config).explain(**request)
    if arguments.json:
        print(told.to_json())
    else:
        rows = [_considered(candidate, number) for number, candidate in enumerate(told.candidates, 1)]
        print(f"policy: {told.policy}")
        for row in rows:
            print(row)
    if told.refused is not None:
        print(f"refused: {told.refused.message}", file=sys.stderr)
        return 1
    return 0


def _considered(candidate: ExplainedCandidate, number: int) -> str:
    """One line about a backend."""
    name = f"{candidate.provider}/{candidate.model}"
    if candidate.filtered_by is not None:
        return _printable(f"  -  {name}: {candidate.filtered_by}: {candidate.reason}")
    told = [f"after {candidate.after}"] if candidate.after else []
    told.append(f"about {candidate.expected_cost_usd} USD" if candidate.expected_cost_usd else "price unknown")
    if candidate.ttft_ms is not None:
        told.append(f"first token in {candidate.ttft_ms} ms")
    if candidate.health != "closed":
        told.append(candidate.health)
    return _printable(f"{number:3}  {name}: {', '.join(told)}")


def _fuse(arguments: argparse.Namespace) -> int:
    request = {**_shared(arguments), "messages": _messages(arguments)}
    for name, value in (("mode", arguments.mode), ("max_cost_usd", arguments.max_cost), ("judge", arguments.judge)):
        if value is not None:
            request[name] = value
    if arguments.pool:
        pool = [model.strip() for model in arguments.pool.split(",") if model.strip()]
        # One word without a slash is no model: it names a pool of the configuration.
        request["pool"] = arguments.pool if len(pool) == 1 and "/" not in pool[0] else pool
    if not arguments.local:
        return _print_fusion(_client(arguments, asks=True), request, arguments)
    if arguments.pool or arguments.judge:
        raise ValueError("--local brings its own pool and judge; leave --pool and --judge out")
    print(
        f"a model of 135 million parameters ({local.MODEL}) on this machine: it shows the mechanics of a fusion, not the quality",
        file=sys.stderr,
    )
    with local.LocalServer() as server:
        return _print_fusion(_booked(Client(server.config())), {**local.demo_pool(server), **request}, arguments)


def _print_fusion(client: Client, request: dict[str, Any], arguments: argparse.Namespace) -> int:
    fused: Fused | None = None
    progress = Progress()
    try:
        with client.fuse(stream=True, **request) as events:
            for event in events:
                if event.type == "run_done":
                    fused = event.result
                else:
                    progress.show(event)
    finally:
        progress.clear()
        _close(client)
    if fused is None:
        raise ValueError("the fusion ended without a result")
    if arguments.html:
        with whole(arguments.html) as part:
            Path(part).write_text(fused.to_html(), encoding="utf-8")
    _print_fused(fused, arguments.json)
    return 0


class Progress:
    """Who has answered and what is going on, on standard error: one line that changes, or plain lines when that is no
    terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._members: list[str] = []
        self._marks: dict[str, str] = {}
        self._now = ""
        self._shown = 0

    def show(self, event: FusionEvent) -> None:
        """Takes one event of a fusion in."""
        said = self._say(event)
        if said is None:
            return
        said = _printable(said)
        if not self._live:
            print(said, file=sys.stderr, flush=True)
            return
        marks = "  ".join(f"{self._marks.get(name, '…')} {name}" for name in self._members)
        line = _printable(f"{marks}  {self._now}".rstrip())
        width = shutil.get_terminal_size((100, 24)).columns - 1
        line = line if len(line) <= width else f"{line[: width - 1]}…"
        print(f"\r{line:<{self._shown}}", end="", file=sys.stderr, flush=True)
        self._shown = len(line)

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown:
            print(f"\r{' ' * self._shown}\r", end="", file=sys.stderr, flush=True)
            self._shown = 0

    def _say(self, event: FusionEvent) -> str | None:
        """What a plain line says of an event; None for what is not worth one."""
        if event.type == "run_started":
            self._members = list(event.members)
            return f"asking {len(self._members)} members; {event.judge} will judge"
        if event.type == "member_done":
            self._marks[event.member] = "✓"
            tokens = "" if event.completion_tokens is None else f", {event.completion_tokens} tokens"
            return f"{event.member} answered after {event.latency_ms / 1000:.1f} s{tokens}"
        if event.type == "member_failed":
            self._marks[event.member] = "✗"
            return f"{event.member} failed: {event.reason}"
        if event.type == "member_cancelled":
            self._marks[event.member] = "–"
            return f"{event.member} is not waited for"
        if event.type == "judge_started":
            self._now = f"the judge works ({event.purpose})"
            return self._now
        if event.type == "judge_done":
            self._now = ""
            return f"the judge is done ({event.purpose}) after {event.latency_ms / 1000:.1f} s"
        if event.type == "debate_round":
            self._now = f"debate, round {event.round}"
            return self._now
        if event.type == "degraded":
            return f"less than asked: {event.degraded.step}: {event.degraded.cause}"
        return None


def _eval(arguments: argparse.Namespace) -> int:
    request: dict[str, Any] = {"models": arguments.model, "fusions": fusions(arguments.fuse, arguments.model)}
    names = ("judge", "checkpoint", "max_cost_usd", "concurrency", "system", "temperature", "max_tokens", "timeout")
    request |= {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if arguments.html:
        request["report"] = arguments.html
    client = _client(arguments, asks=True)
    found: Evaluation | None = None
    bar = Bar()
    try:
        with client.evaluate(arguments.items, stream=True, **request) as events:
            for event in events:
                if event.type == "done":
                    found = event.result
                else:
                    bar.show(event)
    except KeyboardInterrupt:
        bar.clear()
        kept = f"; the same command goes on from {arguments.checkpoint}" if arguments.checkpoint else "; nothing is kept without --checkpoint"
        print(f"interrupted after {bar.done} of {bar.of} items{kept}", file=sys.stderr)
        return 130
    finally:
        bar.clear()
        _close(client)
    if found is None:
        raise ValueError("the evaluation ended without a result")
    if arguments.json:
        print(found.to_json())
        return 0
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(found.to_text(shutil.get_terminal_size((100, 24)).columns, color).rstrip())
    if arguments.html:
        print(f"page: {arguments.html}", file=sys.stderr)
    return 0


def _report(file: str) -> FusionReport:
    """The report in a file, which holds it alone or in its answer."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as e:
        raise ValueError(f"{file} cannot be read: {e.strerror}") from e
    except ValueError as e:
        raise ValueError(f"{file} is no JSON: {e}") from e
    report: FusionReport = found.get("report", found) if isinstance(found, dict) else found
    return report


def _rejudge(arguments: argparse.Namespace) -> int:
    report = _report(arguments.file)
    request = {**_shared(arguments), "messages": _messages(arguments)}
    for name, value in (("mode", arguments.mode), ("max_cost_usd", arguments.max_cost), ("judge", arguments.judge)):
        if value is not None:
            request[name] = value
    client = _client(arguments, asks=True)
    try:
        fused = client.rejudge(report, **request)
    finally:
        _close(client)
    _print_fused(fused, arguments.json)
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    fused = replay(_report(arguments.file))
    _print_fused(fused, arguments.json)
    earlier = fused.report.earlier
    differs = list(earlier.differs or []) if earlier else []
    for place in differs:
        print(_printable(f"differs at {place.at}: was {json.dumps(place.was)}, is {json.dumps(place.now)}"), file=sys.stderr)
    return 1 if differs else 0


def _print_fused(fused: Fused, as_json: bool) -> None:
    if as_json:
        print(fused.to_json())
        return
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(render_fused(fused, shutil.get_terminal_size((100, 24)).columns, color).rstrip())


def _calibrate(arguments: argparse.Namespace) -> int:
    found = calibrate(labelled(sys.stdin.read()) if arguments.file == "-" else arguments.file)
    if not found.counted:
        raise ValueError(f"{arguments.file} has no item with a `gold` answer")
    print(found.to_json() if arguments.json else _printable(found.to_text()).rstrip())
    return 0


def _reconcile(arguments: argparse.Namespace) -> int:
    keys = {}
    for given in arguments.key:
        vendor, sign, name = given.partition("=")
        if not sign:
            raise ValueError(f"--key {given}: write it as ID=NAME, the vendor's id and the name here")
        keys[vendor] = name
    found = _client(arguments, asks=True).reconcile(
        *arguments.file, provider=arguments.provider, tolerance=arguments.tolerance, keys=keys, post=arguments.post
    )
    print(found.to_json() if arguments.format == "json" else _printable(render_reconciliation(found)).rstrip())
    return 0 if found.ok else 1


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    where = {}
    for given in arguments.where:
        name, equals, value = given.partition("=")
        if not equals or not name:
            raise ValueError(f"--where {given}: write NAME=VALUE, for example project=search")
        where[name] = value
    return {"since": arguments.since, "until": arguments.until, "where": where, "time_zone": arguments.time_zone}


def _usage(arguments: argparse.Namespace) -> int:
    client = _booked(Client(arguments.config))
    if arguments.html:
        client.usage_html(arguments.html, **_asked(arguments))
        print(arguments.html)
        return 0
    by = [name.strip() for name in arguments.by.split(",") if name.strip() not in ("", "none")]
    sums = client.usage(by, latencies=arguments.latencies, **_asked(arguments))
    if arguments.format == "json":
        print(sums.to_json())
        return 0
    if arguments.format == "csv":
        print(sums.to_csv(), end="")
        return 0
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(sums.to_text(shutil.get_terminal_size((100, 24)).columns, color), end="")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    if arguments.records and (arguments.focus or arguments.parquet):
        raise ValueError("--records is CSV or JSON; leave --focus and --parquet out")
    ledger, to = _booked(Client(arguments.config)).ledger, arguments.output or sys.stdout.buffer
    asked = _asked(arguments)
    zone = asked.pop("time_zone")
    if arguments.records:
        told = ledger.export(to, "records_csv" if arguments.records == "csv" else "records_json", time_zone=zone, **asked)
    else:
        told = ledger.export_focus(
            to, arguments.focus or "1.4", format="parquet" if arguments.parquet else None, time_zone=zone, **asked
        )
    sys.stdout.flush()
    print(f"{told.attempts} attempts in {told.rows} rows, {usd(told.cost_nanos)} USD, {told.cost_unknown} of unknown cost", file=sys.stderr)
    if not told.complete:
        print("older attempts are missing: they are no longer kept one by one", file=sys.stderr)
    return 0


def _models(arguments: argparse.Namespace) -> int:
    words = [word.lower() for word in arguments.words]
    found = [m for m in _client(arguments).models.list() if all(word in m.id.lower() for word in words)]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    if not found:
        print("no such model in the catalogue; any `provider/model` can be asked all the same", file=sys.stderr)
        return 1
    rows = [("MODEL", "CONTEXT", "PROVIDER", "IN $/M", "OUT $/M", "KEY")]
    for model in found:
        context = "" if model.context is None else f"{model.context:,}"
        for offer in model.offers:
            key = "yes" if offer.ready else "no"
            rows.append((model.id, context, offer.provider, offer.input_usd or "?", offer.output_usd or "?", key))
    _table(rows)
    return 0


def _providers(arguments: argparse.Namespace) -> int:
    found = _client(arguments).providers()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = [("PROVIDER", "NAME", "READY", "KEY")]
    for provider in found:
        missing = f"set {provider.key_vars[0]}" if provider.key_vars else "none needed"
        rows.append((provider.id, provider.name, "yes" if provider.ready else "no", provider.key_from or missing))
    _table(rows)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    python = ".".join(map(str, sys.version_info[:3]))
    print(f"interfuse  {__version__}, Python {python}, {sys.platform}")
    named = arguments.config or os.environ.get("INTERFUSE_CONFIG")
    print(f"config     {named or 'none (vendors’ usual variables)'}")
    client = _client(arguments)
    providers = client.providers()
    with_key = [p for p in providers if p.key_from]
    print(f"providers  {len(providers)} known, keys found for {len(with_key)}")
    for provider in with_key:
        print(f"           {provider.id}: {provider.key_from}")
    configured = None if os.environ.get("INTERFUSE_LEDGER") else (client._native.config().get("ledger") or {}).get("path")
    print(f"ledger     {configured or _ledger() or 'off'}")
    found = local.available()
    print(f"local      {'ready' if found else 'not installed: `interfuse local install`'}")
    if not with_key and not found:
        print("\nTo begin: set a vendor's key, for example OPENAI_API_KEY, or run `interfuse local install`.")
    return 0


def _messages(arguments: argparse.Namespace) -> list[dict[str, str]]:
    prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    if not prompt.strip():
        raise ValueError("the question is empty")
    system = [{"role": "system", "content": arguments.system}] if arguments.system else []
    return [*system, {"role": "user", "content": prompt}]


def _shared(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in ("temperature", "max_tokens", "timeout")}
    return {name: value for name, value in given.items() if value is not None}


def _table(rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    """Without control characters, so that no vendor and no model can steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _complain(error: Exception) -> None:
    print(f"error: {_printable(str(error))}", file=sys.stderr)
    if isinstance(error, InterfuseError):
        for member in error.members:
            line = f"{member.member}: {member.message}"
            if line not in str(error):
                print(f"  {_printable(line)}", file=sys.stderr)
        if error.partial is not None and error.partial.text:
            print(f"what had arrived: {_printable(error.partial.text)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
