"""Records what providers answer, and gives it again without them.

The file is JSON, and the same in every language: ``providers`` by name, and ``interactions`` in the order in which the requests came,
each with `provider`, `request` (`method`, `path`, `body`) and `response`: `status`, `headers`, and `json`, or `body` (text), or
`pieces` (a stream as it came: texts, or `{"base64": ...}`). `ends` is `cut` where the provider broke off, and `left` where the client
did; a `response` that is null never came before the client left. No header of a request is kept.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, cast
from urllib.parse import quote, urlsplit

from ..errors import ConfigError
from . import _scrub
from ._server import Exchange, Left, Loopback
from ._upstream import parsed, refuse, told

if TYPE_CHECKING:
    from ..types import Config

VERSION = 1
_GUARD_S = 600.0
"""Seconds of silence after which a provider is given up while recording; the client's own timeouts come first."""
_SETTLE_S = 5.0
"""Seconds that closing waits for answers under way."""
_HOP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive", "te", "upgrade"}
_KEYS = ("api_key", "api_key_env", "api_key_file", "keys", "credentials")


class ClientOptions(TypedDict):
    """Arguments of a client: ``interfuse.Client(**options)``."""

    config: Config


class Cassette:
    """Entered, it gives the arguments of a client whose providers are recorded or replayed."""

    mode: Literal["record", "replay"]
    """What it does."""
    unexpected: list[str]
    """Requests that a replay did not know, in words."""

    def __init__(self, path: str | os.PathLike[str], mode: str, config: Config | Mapping[str, Any] | None) -> None:
        self.path = Path(path)
        if mode not in ("auto", "record", "replay"):
            raise ConfigError(f"mode of a cassette is `auto`, `record` or `replay`, not `{mode}`", {"param": "mode"})
        there = self.path.exists()
        if mode == "replay" and not there:
            raise ConfigError(f"there is no cassette {self.path} to replay; record it with mode='record'", {"param": "path"})
        self.mode = "record" if mode == "record" or not there else "replay"
        self.unexpected = []
        if config is not None and not isinstance(config, Mapping):
            raise ConfigError("the configuration of a cassette is a dict, not a path", {"param": "config"})
        self._given: dict[str, Any] = dict(config or {})
        self._lock = threading.Lock()
        self._interactions: list[dict[str, Any] | None] = []
        self._server: Loopback | None = None
        self._targets: dict[str, str] = {}
        self._variables: dict[str, str] = {}
        self._keyless: list[str] = []
        self._tls: ssl.SSLContext | None = None
        if self.mode == "replay":
            self._targets, self._tape = _read(self.path)
            self._played = [False] * len(self._tape)
        elif not self.path.parent.is_dir():
            raise ConfigError(f"there is no folder {self.path.parent} for a cassette", {"param": "path"})

    @property
    def options(self) -> ClientOptions:
        """Arguments of a client: ``interfuse.Client(**tape.options)``. Starts the server."""
        if self._server is None:
            self._look()
            self._server = Loopback(self._record if self.mode == "record" else self._replay)
        given = self._given.get("providers") or {}
        names = dict.fromkeys((*self._targets, *given, *self._keyless))
        providers = {name: self._led(name, given.get(name) or {}, self._server.url) for name in names}
        config = {**self._given, "providers": providers}
        config.pop("network", None)
        if self.mode == "replay":
            config["use_environment"] = False
        return {"config": cast("Config", config)}

    def _look(self) -> None:
        """Finds out where the providers really are; for a replay, which ones would be reached without a key."""
        from .. import Client

        named = self._given.get("providers") or {}
        if self.mode == "replay":
            with Client({"use_environment": False}) as client:
                self._keyless = [one.id for one in client.providers() if one.ready and not {one.id, *(one.aliases or ())} & {*named}]
            return
        network = self._given.get("network") or {}
        if network.get("proxy"):
            raise ConfigError("a cassette is recorded without a proxy", {"param": "network.proxy"})
        self._tls = ssl.create_default_context()
        if network.get("ca_file"):
            self._tls.load_verify_locations(network["ca_file"])
        with Client(self._given) as client:
            found = client.providers()
        for one in found:
            names = [name for name in (one.id, *(one.aliases or ())) if name in named]
            if not names and not one.ready:
                continue
            name = names[0] if names else one.id
            if "{" in urlsplit(one.base_url).netloc:
                if names:
                    raise ConfigError(f"where {name} is must be known to record it: give its `base_url`", {"param": f"providers.{name}"})
                continue
            if "@" in urlsplit(one.base_url).netloc:
                raise ConfigError("an address with a password in it cannot be recorded", {"param": f"providers.{name}.base_url"})
            self._targets[name] = one.base_url
            source, _, variable = (one.key_from or "").partition(" ")
            if source == "variable":
                self._variables[name] = variable

    def _led(self, name: str, given: Mapping[str, Any], url: str) -> dict[str, Any]:
        """A provider's configuration in which it is here. The whole path goes behind its name, as some go up in it."""
        target = self._targets.get(name) or f"{url}/unknown"
        led = {**given, "base_url": f"{url}/{quote(name, safe='')}{urlsplit(target).path.rstrip('/')}"}
        if self.mode == "replay":
            for key in _KEYS:
                led.pop(key, None)
            if name in self._targets or given:
                led["api_key"] = "replayed"
        elif variable := self._variables.get(name):
            # A vendor's usual variable is only for its own address; here it is named.
            led.setdefault("api_key_env", variable)
        return led

    def close(self) -> None:
        """Ends the server and, when recording, writes the file. May be called twice."""
        self._end(write=True)

    def _end(self, write: bool) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.settle(_SETTLE_S)
        server.close()
        if self.mode == "record" and write:
            _write(self.path, self._targets, [one for one in self._interactions if one is not None])

    def __enter__(self) -> ClientOptions:
        return self.options

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end(write=kind is None)

    def _replay(self, exchange: Exchange) -> None:
        body = parsed(exchange.body.decode(errors="replace"))
        path = _scrub.path(exchange.path)
        with self._lock:
            same = [
                at
                for at, one in enumerate(self._tape)
                if one["provider"] == exchange.provider
                and one["request"]["method"] == exchange.method
                and one["request"]["path"] == path
                and one["request"].get("body") == body
            ]
            at = next((at for at in same if not self._played[at]), None)
            message = ""
            if at is not None:
                self._played[at] = True
            else:
                why = f"is there {len(same)} times and came once more" if same else f"is not among its {len(self._tape)} requests"
                message = f"cassette {self.path}: {told(exchange, body)} {why}; record it anew with mode='record'"
                self.unexpected.append(message)
        if at is None:
            refuse(exchange, message, "not_in_cassette")
            return
        response = self._tape[at]["response"]
        if response is None:
            return exchange.wait(None)
        ends = response.get("ends")
        if "pieces" in response:
            pieces = [_bytes(piece) for piece in response["pieces"]]
            exchange.head(response["status"], response["headers"], None)
        else:
            text = json.dumps(response["json"], ensure_ascii=False) if "json" in response else response.get("body", "")
            pieces = [text.encode()]
            exchange.head(response["status"], response["headers"], len(pieces[0]))
        for piece in pieces:
            exchange.send(piece)
        if ends == "cut":
            exchange.close()
        elif ends == "left":
            exchange.wait(None)
        else:
            exchange.end()

    def _record(self, exchange: Exchange) -> None:
        with self._lock:
            at = len(self._interactions)
            self._interactions.append(None)
        secrets = _scrub.secrets(exchange.headers, exchange.path)
        body = parsed(_scrub.text(exchange.body.decode(errors="replace"), secrets))
        request = {"method": exchange.method, "path": _scrub.path(exchange.path), "body": body}
        kept: dict[str, Any] = {"provider": exchange.provider, "request": request, "response": None}
        target = self._targets.get(exchange.provider)
        if target is None:
            refuse(exchange, f"cassette {self.path}: where provider {exchange.provider} is was not known", "not_in_cassette")
            return
        gone = threading.Event()
        connection = self._dial(target)
        try:
            try:
                answer = self._ask(connection, exchange, gone)
            except (OSError, http.client.HTTPException) as problem:
                if gone.is_set():
                    self._interactions[at] = kept
                    raise Left from None
                where = urlsplit(target)
                refuse(exchange, f"cassette: {where.scheme}://{where.netloc} cannot be reached: {problem}", "cannot_record", 502)
                return
            if (encoding := answer.getheader("content-encoding", "identity")) != "identity":
                refuse(exchange, f"cassette: the answer is compressed ({encoding}), which was not asked for", "cannot_record", 502)
                return
            pieces: list[bytes] = []
            ends: str | None = "left"
            try:
                headers = answer.getheaders()
                exchange.head(answer.status, {name: value for name, value in headers if name.lower() != "set-cookie"}, None)
                while piece := answer.read1(65536):
                    pieces.append(piece)
                    exchange.send(piece)
                # `read1` does not tell an end before its time.
                ends = "cut" if answer.length else None
            except (OSError, http.client.HTTPException):
                ends = "left" if gone.is_set() else "cut"
            finally:
                kept["response"] = _kept(answer, _scrub.pieces(pieces, secrets), ends, secrets)
                self._interactions[at] = kept
            if ends is None:
                exchange.end()
            else:
                exchange.close()
        finally:
            connection.close()

    def _dial(self, target: str) -> http.client.HTTPConnection:
        where = urlsplit(target)
        if where.scheme == "https":
            return http.client.HTTPSConnection(where.netloc, timeout=_GUARD_S, context=self._tls)
        return http.client.HTTPConnection(where.netloc, timeout=_GUARD_S)

    def _ask(self, connection: http.client.HTTPConnection, exchange: Exchange, gone: threading.Event) -> http.client.HTTPResponse:
        connection.connect()
        to: socket.socket = connection.sock

        def left() -> None:
            gone.set()
            try:
                to.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

        exchange.watch(left)
        headers = {name: value for name, value in exchange.headers.items() if name not in _HOP}
        headers |= {"accept-encoding": "identity", "connection": "close"}
        connection.request(exchange.method, exchange.path, exchange.body, headers)
        return connection.getresponse()


def cassette(
    path: str | os.PathLike[str],
    *,
    mode: Literal["auto", "record", "replay"] = "auto",
    config: Config | Mapping[str, Any] | None = None,
) -> Cassette:
    """Records what providers answer, and later gives it again without network and keys.

        with testing.cassette("talk.json") as options:
            client = interfuse.Client(**options)

    path: the file. It is written whole when the block ends well, and holds no credential: no header of a request is kept, few of
        an answer, and where a key (of 8 characters or more) is repeated in a text, it is taken out.
    mode: ``auto`` records where there is no file and replays it where there is one; ``record`` replaces it; ``replay`` needs it.
        A replay is strict: every request is answered once per recording, whatever the order; one that is not there fails with
        NotFoundError, whose ``code`` is ``not_in_cassette``.
    config: the client's configuration. Recorded are its providers, and those of the catalogue that need no key or have one in the
        environment. By default only the latter; ``INTERFUSE_CONFIG`` is not read. Requests signed for an address (AWS keys) cannot be recorded;
        bearer tokens can.

    Raises ConfigError for a file that is no cassette, or cannot be found or made.
    """
    return Cassette(path, mode, config)


def _kept(answer: http.client.HTTPResponse, pieces: list[bytes], ends: str | None, secrets: list[re.Pattern[str]]) -> dict[str, Any]:
    headers = {name: _scrub.text(value, secrets) for name, value in _scrub.kept(answer.getheaders()).items()}
    made: dict[str, Any] = {"status": answer.status, "headers": headers}
    whole = b"".join(pieces)
    kind = headers.get("content-type", "")
    if ends is None and not kind.startswith(("text/event-stream", "application/x-ndjson", "application/vnd.amazon")):
        try:
            text = whole.decode()
            # A number that not every language holds is kept as it is written.
            if "json" in kind and not re.search(r"\d{16}", text):
                return {**made, "json": json.loads(text)}
            return {**made, "body": text}
        except ValueError:
            pass
    made["pieces"] = [_piece(part) for piece in pieces for part in _events(piece, kind) if part]
    if ends is not None:
        made["ends"] = ends
    return made


def _events(piece: bytes, kind: str) -> list[bytes]:
    """What came at once, but was written one after the other: events, or lines."""
    if kind.startswith("text/event-stream"):
        return re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", piece)
    return re.split(rb"(?<=\n)", piece) if kind.startswith("application/x-ndjson") else [piece]


def _piece(piece: bytes) -> str | dict[str, str]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(piece).decode()}


def _bytes(piece: Any) -> bytes:
    return piece.encode() if isinstance(piece, str) else base64.b64decode(piece["base64"])


def _read(path: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["interfuse_cassette"] != VERSION:
            raise ValueError(f"it is of version {document['interfuse_cassette']}, and this one reads {VERSION}")
        targets = {name: str(provider["base_url"]) for name, provider in document["providers"].items()}
        tape: list[dict[str, Any]] = document["interactions"]
        for one in tape:
            _ = one["provider"], one["request"]["method"], one["request"]["path"], one["response"]
        return targets, tape
    except OSError as problem:
        raise ConfigError(f"the cassette {path} cannot be read: {problem}", {"param": "path"}) from problem
    except (ValueError, LookupError, TypeError, AttributeError) as problem:
        raise ConfigError(f"{path} is no cassette: {problem}", {"param": "path"}) from problem


def _write(path: Path, targets: Mapping[str, str], tape: list[dict[str, Any]]) -> None:
    """Writes the file whole or not at all."""
    # What was not asked is not told: an account may have many keys.
    asked = {one["provider"] for one in tape}
    providers = {name: {"base_url": target} for name, target in targets.items() if name in asked}
    document = {"interfuse_cassette": VERSION, "providers": providers, "interactions": tape}
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            json.dump(document, file, ensure_ascii=False, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(new, 0o644)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
