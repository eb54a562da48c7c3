"""A server on loopback in a thread of this process; what it answers is somebody else's."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

_OWN = {"content-length", "transfer-encoding", "connection", "keep-alive"}
"""Headers that framing decides."""


class Left(Exception):
    """The client left; nobody waits for the rest."""


class Exchange:
    """One request, and the answer being written to it."""

    def __init__(self, handler: _Handler, body: bytes) -> None:
        self.method = handler.command
        _, _, rest = handler.path.partition("/")
        provider, slash, path = rest.partition("/")
        self.provider = unquote(provider)
        self.path = slash + path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body
        self._handler = handler
        self._socket = handler.connection
        self._chunked = False

    def head(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        """Sends the head; without a length the body comes in chunks."""
        self._chunked = length is None
        lines = [f"HTTP/1.1 {status} {self._handler.responses.get(status, ('Scripted',))[0]}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in _OWN]
        lines += ["transfer-encoding: chunked" if length is None else f"content-length: {length}", "", ""]
        self._write("\r\n".join(lines).encode("latin-1", "replace"))

    def send(self, data: bytes) -> None:
        """Sends a piece of the body."""
        if data:
            self._write(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    def end(self) -> None:
        """The body is whole."""
        if self._chunked:
            self._write(b"0\r\n\r\n")

    def wait(self, seconds: float | None) -> None:
        """Waits; None until the client leaves, which raises ``Left``."""
        end = None if seconds is None else time.monotonic() + seconds
        try:
            while (rest := None if end is None else end - time.monotonic()) is None or rest > 0:
                self._socket.settimeout(rest)
                if not self._socket.recv(1, socket.MSG_PEEK):
                    raise Left
                if end is not None:  # the next request is there already
                    time.sleep(max(0.0, end - time.monotonic()))
                else:
                    time.sleep(0.01)
        except TimeoutError:
            pass
        except OSError:
            raise Left from None
        finally:
            self._settle()

    def _settle(self) -> None:
        try:
            self._socket.settimeout(None)
        except OSError:
            pass

    def watch(self, left: Callable[[], None]) -> None:
        """Calls ``left`` from a thread when the client leaves before its next request."""

        def look() -> None:
            try:
                gone = not self._socket.recv(1, socket.MSG_PEEK)
            except (OSError, ValueError):
                gone = True
            if gone:
                left()

        threading.Thread(target=look, daemon=True, name="interfuse-testing-watch").start()

    def close(self) -> None:
        """Closes the connection after this."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Resets the connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            raise Left from None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def __getattr__(self, name: str) -> Any:
        # Every method is answered alike.
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("transfer-encoding"):
            self.send_error(411)
            return
        exchange = Exchange(self, body)
        with self.server.running:
            self.server.active += 1
        try:
            self.server.answer(exchange)
        except Left:
            self.close_connection = True
        finally:
            with self.server.running:
                self.server.active -= 1
                self.server.running.notify_all()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass  # the client's end of a connection is not an event

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, answer: Callable[[Exchange], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.active = 0
        self.running = threading.Condition()
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.running:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.running:
            self._open.discard(request)
        # To close it is not enough where a thread waits for its client; one that is to be reset must not end in order first.
        if not request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.close_request(request)

    def cut_all(self) -> None:
        """Ends every connection, and with them what waits for a client."""
        with self.running:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Loopback:
    """The server. Listens from the start; ``close`` ends it with all its connections."""

    def __init__(self, answer: Callable[[Exchange], None]) -> None:
        self._server = _Server(answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        serve = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="interfuse-testing")
        serve.start()
        self._open = True

    def settle(self, seconds: float) -> None:
        """Waits until every answer under way is at its end."""
        with self._server.running:
            self._server.running.wait_for(lambda: self._server.active == 0, seconds)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_all()
            self.settle(5.0)
