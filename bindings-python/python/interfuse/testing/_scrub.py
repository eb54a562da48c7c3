"""Takes credentials out of what is shown or kept."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

SCRUBBED = "[scrubbed]"
_WORDS = ("auth", "key", "token", "secret", "cookie", "credential", "password", "signature")
_SHORTEST = 8
"""Characters of the shortest credential that is looked for in texts; shorter ones would be found in words."""

# All that is kept of an answer's headers: what a client reads, nothing that names an account or a session.
_KEPT = re.compile(
    r"content-type|retry-after(-ms)?|(x-|openai-|anthropic-|apim-|x-goog-|x-amzn-)?request-?id|x-should-retry|x-inference-provider"
    r"|(x-|anthropic-)ratelimit-[a-z-]+|openai-processing-ms|x-amzn-errortype"
)


def secret(name: str) -> bool:
    """Whether a header or parameter of this name may carry a credential."""
    lower = name.lower()
    return any(word in lower for word in _WORDS)


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for people to see."""
    return {name: SCRUBBED if secret(name) else value for name, value in headers.items()}


def kept(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers of an answer that are written into a file."""
    return {name.lower(): value for name, value in headers if _KEPT.fullmatch(name.lower())}


def path(given: str) -> str:
    """A path whose query tells no credential."""
    before, mark, query = given.partition("?")
    if not any(secret(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        return given
    pairs = parse_qsl(query, keep_blank_values=True)
    return before + mark + urlencode([(name, "scrubbed" if secret(name) else value) for name, value in pairs])


def secrets(headers: Mapping[str, str], path: str) -> list[re.Pattern[str]]:
    """The credentials of a request, in every spelling in which an answer may repeat them; longest first."""
    values = [value for name, value in parse_qsl(path.partition("?")[2]) if secret(name)]
    for name, value in headers.items():
        if not secret(name):
            continue
        scheme, _, rest = value.partition(" ")
        values += [value, rest]
        values += [part.partition("=")[2] for part in re.split(r"[,;]\s*|\s+", rest or value) if "=" in part]
        if scheme.lower() == "basic":
            try:
                pair = base64.b64decode(rest, validate=True).decode()
                values += [pair, pair.partition(":")[2]]
            except (binascii.Error, UnicodeDecodeError):
                pass
    found = {value for value in values if len(value) >= _SHORTEST}
    found |= {base64.b64encode(value.encode()).decode().rstrip("=") for value in found}
    return [_spelt(value) for value in sorted(found, key=len, reverse=True)]


def _spelt(value: str) -> re.Pattern[str]:
    """A text, each sign of which may be escaped as in JSON or in an address."""
    return re.compile("".join(rf"\\?(?:{re.escape(c)}|(?i:u00{ord(c):02x}|%{ord(c):02x}))" for c in value))


def text(given: str, secrets: Iterable[re.Pattern[str]]) -> str:
    """The same text without them."""
    for one in secrets:
        given = one.sub(SCRUBBED, given)
    return given


def pieces(given: list[bytes], secrets: Iterable[re.Pattern[str]]) -> list[bytes]:
    """The same pieces without them; those over which one was spread become one. Latin-1 stands for bytes."""
    joined = b"".join(given).decode("latin-1")
    # Where pieces may not be divided: within a credential.
    inside = {at for one in secrets for found in one.finditer(joined) for at in range(found.start() + 1, found.end())}
    if not inside:
        return given
    merged: list[str] = []
    start = at = 0
    for piece in given:
        at += len(piece)
        if at not in inside:
            merged.append(joined[start:at])
            start = at
    merged.append(joined[start:])
    return [text(piece, secrets).encode("latin-1") for piece in merged if piece]
