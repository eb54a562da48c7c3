"""Keys from callables, asked before every request: what stands in the configuration in place of a key is taken out here
and made a function that the core calls on a thread of its own, so that it may wait for files, locks and networks."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Given = str | tuple[str] | tuple[str, str, str | None]
    Source = Callable[[], Given]
    Await = Callable[[Any], Any]

_AWS_NAMES = (
    ("aws_access_key_id", "access_key_id", "AccessKeyId", "access_key"),
    ("aws_secret_access_key", "secret_access_key", "SecretAccessKey", "secret_key"),
    ("aws_session_token", "session_token", "SessionToken", "Token", "token"),
)
"""How keys of an account are called by boto3, by AWS's services and by botocore's own objects."""


def without_sources(
    providers: Mapping[str, Any], wait: Await | None
) -> tuple[dict[str, Any], dict[str, Source]]:
    """The configuration of backends without what only Python can call, and that by provider.

    wait: runs what an async callable gave; None where there is no event loop.
    """
    plain: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for name, given in providers.items():
        plain[name] = given
        if not hasattr(given, "items"):
            continue
        plain[name] = rest = dict(given)
        if callable(rest.get("api_key")):
            sources[name] = _asked(rest.pop("api_key"), f"providers.{name}.api_key", _key, wait)
        who = rest.get("credentials")
        if who is not None and not hasattr(who, "items"):
            del rest["credentials"]
            at = f"providers.{name}.credentials"
            region = getattr(who, "region_name", None)
            if region:
                rest["vars"] = {"region": region, **(rest.get("vars") or {})}
            sources[name] = _asked(_provider(who, at), at, _account, wait)
    return plain, sources


def _provider(who: Any, at: str) -> Callable[[], Any]:
    """Anything that gives keys of an account: a session, credentials that renew themselves, or a function."""
    if hasattr(who, "get_credentials"):

        def of_session() -> Any:
            found = who.get_credentials()
            if found is None:
                raise LookupError("the session has no credentials")
            return found.get_frozen_credentials()

        return of_session
    if hasattr(who, "get_frozen_credentials"):
        frozen: Callable[[], Any] = who.get_frozen_credentials
        return frozen
    if callable(who):
        function: Callable[[], Any] = who
        return function
    raise ConfigError(f"{at}: a session of boto3, a function that gives keys, or a dict, not {type(who).__name__}")


def _asked(function: Callable[[], Any], at: str, read: Callable[[Any], Given], wait: Await | None) -> Source:
    if wait is None and inspect.iscoroutinefunction(function):
        raise ConfigError(f"{at}: an async callable needs an event loop; use AsyncClient")

    def asked() -> Given:
        given = function()
        if inspect.isawaitable(given):
            if wait is None:
                if inspect.iscoroutine(given):
                    given.close()
                raise TypeError("the callable gave an awaitable, which needs AsyncClient")
            given = wait(given)
        return read(given)

    return asked


def _key(given: Any) -> Given:
    if isinstance(given, str):
        return given
    raise TypeError(f"the callable must give a str, not {type(given).__name__}")


def _account(given: Any) -> Given:
    """Access key id, secret and session token, from whatever carries them; or an access token, which is text."""
    if isinstance(given, str):
        return (given,)
    if hasattr(given, "items"):
        found = [next((given[name] for name in names if given.get(name)), None) for names in _AWS_NAMES]
    elif isinstance(given, tuple) and len(given) >= 2:
        # botocore's frozen credentials are one, with further fields behind the token.
        found = [*given[:3], None][:3]
    else:
        found = [next((v for name in names if (v := getattr(given, name, None))), None) for names in _AWS_NAMES]
    access, secret, token = found
    if not (isinstance(access, str) and isinstance(secret, str) and (token is None or isinstance(token, str))):
        raise TypeError("the callable must give an access key id, a secret access key and maybe a session token")
    return access, secret, token or None
