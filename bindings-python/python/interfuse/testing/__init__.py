"""For the tests of a program that uses interfuse: scripted answers, faults, delays and prices, and recorded ones, without network.

    from interfuse import testing
    from interfuse.testing import answer, error, when

    with testing.Upstream(when(model="m-a").then(error(429, retry_after=0), answer("Bern.")), answer("Rome.")) as up:
        client = up.client()                     # its provider `up` is a server in this process
    with testing.cassette("talk.json") as options:
        client = interfuse.Client(**options)     # records the real providers once, replays them ever after
"""

from __future__ import annotations

from ._cassette import Cassette as Cassette
from ._cassette import ClientOptions as ClientOptions
from ._cassette import cassette as cassette
from ._script import Break as Break
from ._script import Response as Response
from ._script import Route as Route
from ._script import Step as Step
from ._script import ToolCall as ToolCall
from ._script import When as When
from ._script import answer as answer
from ._script import embeddings as embeddings
from ._script import error as error
from ._script import reset as reset
from ._script import when as when
from ._upstream import Request as Request
from ._upstream import Upstream as Upstream
