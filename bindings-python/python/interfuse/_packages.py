"""What could not be imported, told with what helps: the compiled half of this package, and packages of others that some of
its functions use."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from typing import Any


def brought(name: str, use: str, install: str) -> Any:
    """The package `name`, imported. Raises PackageError, which tells what uses it and how to `install` it."""
    import importlib

    from ._typed_errors import PackageError

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PackageError(f"{use} needs the package {name}: pip install {install} ({error})", {"package": name}) from error


_MAIN_ONLY = (
    "interfuse works in the main interpreter of a process only, not in one within it; under mod_wsgi: "
    "WSGIApplicationGroup %{GLOBAL}"
)


def main_interpreter_only() -> None:
    """Raises ImportError in an interpreter within another, where threads of the core would keep the process from ending."""
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return  # then there is none to ask about
    if interpreters.get_current() != interpreters.get_main():
        raise ImportError(_MAIN_ONLY, name="interfuse._native")


def without_native(error: ImportError) -> ImportError:
    """Why ``interfuse._native`` did not come, and what to do."""
    if "subinterpreter" in str(error):
        return ImportError(_MAIN_ONLY, name="interfuse._native")
    import os
    import sys
    import sysconfig

    here = os.path.dirname(__file__)
    python = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        python += ", free-threaded"
    lying = sorted(name for name in os.listdir(here) if name.startswith("_native.") and not name.endswith(".pyi"))
    if not lying:
        why = "it is not there"
    elif isinstance(error, ModuleNotFoundError):
        why = f"{' and '.join(lying)} in {here} is not for this Python"
    else:
        why = str(error)
    what = "The package" if lying else "The package, or the checkout,"
    return ImportError(
        f"interfuse's compiled half cannot be loaded: {why}. {what} was not built for this Python ({python} on "
        f"{sysconfig.get_platform()}, {sys.executable}). Install it with this Python: {sys.executable} -m pip install "
        "--force-reinstall --no-cache-dir interfuse; where no wheel fits, that builds it and needs Rust 1.89 or newer. "
        "In a checkout: make setup.",
        name="interfuse._native",
        path=here,
    )
