"""Python's functions as tools of a model, and the loop that calls them."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _forms
from ._forms import Field, Unfit, is_pydantic, is_typeddict, named, plain, take
from ._record import Record
from ._strict import strict
from ._structured import Course, Spent, asking, is_type
from ._typed_errors import MaxStepsError, SchemaError
from .errors import BudgetExceededError, InterfuseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ._responses import ChatCompletion
    from .types import Message

_SECTION = re.compile(r"(args|arguments|parameters|params|other parameters|returns?|yields?|raises|examples?|notes?)\s*:?\s*", re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<indent>\s*)\*{0,2}(?P<name>\w+)\s*(\([^)]*\))?\s*:(?:\s+(?P<text>.*))?$")
_FIELD = re.compile(r"\s*:(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(?P<name>\w+)\s*:\s*(?P<text>.*)$")


class Tool(dict[str, Any]):
    """A tool as it is sent, with what reads the arguments of its calls, and the function where there is one."""

    __slots__ = ("call", "kind", "parameters")

    def __init__(self, sent: dict[str, Any], parameters: list[Field], kind: Any, call: Callable[..., Any] | None) -> None:
        super().__init__(sent)
        self.parameters = parameters
        self.kind = kind
        self.call = call

    def read(self, text: str) -> Any:
        """Arguments as the model wrote them: of a type its value, of a function a dict by parameters. Raises Unfit."""
        if self.call is None:
            return _forms.read(self.kind, text or "{}")
        given = _forms.read(dict[str, Any], text or "{}")
        known = {field.name: field for field in self.parameters}
        problems = [f"{name}: there is no such argument" for name in given if name not in known]
        taken: dict[str, Any] = {}
        for name, field in known.items():
            if name not in given:
                if field.required:
                    problems.append(f"{name}: it is missing")
                continue
            try:
                taken[name] = take(field.kind, given[name], name)
            except Unfit as unfit:
                problems += unfit.problems
        if problems:
            raise Unfit(problems)
        return taken


def function_tool(function: Any, *, name: str | None = None, description: str | None = None) -> Any:
    """A tool out of a function, or out of a type whose fields are the arguments (pydantic model, dataclass, TypedDict).

    Of a function the signature says which arguments there are (``Annotated[str, "the city's name"]`` describes one), and its
    docstring what it does and what they mean (Google's, NumPy's and Sphinx' forms are understood). A tool whose schema the
    strict subset holds, and that has no defaults, is sent as strict.

    Raises SchemaError for an argument that no JSON schema can tell.
    """
    if isinstance(function, Tool):
        return function
    if is_pydantic(function) or is_typeddict(function) or (isinstance(function, type) and hasattr(function, "__dataclass_fields__")):
        return _type_tool(function, name or named(function), description)
    if not callable(function):
        raise TypeError(f"a tool is a function, a type or a dict as it is sent, not {function!r}")
    return _function_tool(function, name, description)


def pydantic_function_tool(model: Any, *, name: str | None = None, description: str | None = None) -> Any:
    """The same as ``function_tool``, under openai's name."""
    return function_tool(model, name=name, description=description)


def prepared(tools: Iterable[Any]) -> list[Any]:
    """Tools as they are sent, functions and types among them made into tools."""
    return [tool if isinstance(tool, dict) or hasattr(tool, "items") else function_tool(tool) for tool in tools]


def _type_tool(kind: Any, name: str, description: str | None) -> Tool:
    schema = strict(_forms.schema_of(kind, name), name)
    said = description or schema.pop("description", None)
    function = {"name": name, **({"description": said} if said else {}), "strict": True, "parameters": schema}
    return Tool({"type": "function", "function": function}, [], kind, None)


def _function_tool(call: Callable[..., Any], name: str | None, description: str | None) -> Tool:
    inner = getattr(call, "func", call)  # of a functools.partial
    name = name or named(call if hasattr(call, "__name__") else inner)
    summary, told = documented(inspect.getdoc(inner), _names(call))
    parameters = _parameters(call, name, told)
    builder = _forms._Builder()
    properties: dict[str, Any] = {}
    for field in parameters:
        part = builder.schema(field.kind, f"{name}.{field.name}")
        if field.about and "description" not in part:
            part = {**part, "description": field.about}
        properties[field.name] = part
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    schema["required"] = [field.name for field in parameters if field.required]
    if builder.defs:
        schema["$defs"] = builder.defs
    function: dict[str, Any] = {"name": name}
    if description or summary:
        function["description"] = description or summary
    if len(schema["required"]) == len(properties):
        try:
            schema = strict(schema, name)
            function["strict"] = True
        except SchemaError:
            pass  # such as a dict with any keys, which a tool that is not strict may take
    function["parameters"] = schema
    return Tool({"type": "function", "function": function}, parameters, None, call)


def _names(call: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(call).parameters)


def _parameters(call: Callable[..., Any], name: str, told: dict[str, str]) -> list[Field]:
    import functools
    import typing

    inner: Any = call
    while isinstance(inner, functools.partial):
        inner = inner.func
    holder = inner if inspect.isroutine(inner) else type(inner).__call__
    try:
        hints = typing.get_type_hints(holder, include_extras=True)
    except (NameError, TypeError) as error:
        raise SchemaError(f"{name}: its annotations can not be resolved: {error}", {"param": name}) from error
    found = []
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise SchemaError(
                f"{name}.{parameter.name}: a tool's arguments come by name; write them out instead of *args, **kwargs and /",
                {"param": f"{name}.{parameter.name}"},
            )
        kind = hints.get(parameter.name, Any)
        required = parameter.default is parameter.empty
        found.append(Field(parameter.name, kind, required, told.get(parameter.name)))
    return found


def documented(text: str | None, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the whole and of each parameter."""
    lines = (text or "").splitlines()
    summary: list[str] = []
    told: dict[str, list[str]] = {}
    current: list[str] | None = None
    indent = 0
    numpy = inside = False
    for at, line in enumerate(lines):
        bare = line.strip()
        if re.fullmatch(r"-{3,}", bare):
            continue
        if bare and _SECTION.fullmatch(bare) and not line.startswith(" "):
            inside, current = True, None
            numpy = at + 1 < len(lines) and bool(re.fullmatch(r"\s*-{3,}\s*", lines[at + 1]))
            continue
        field = _FIELD.match(line)
        found = field or _PARAMETER.match(line) or (numpy and re.fullmatch(r"(?P<indent>)(?P<name>\w+)(?P<text>)", line))
        if found and found["name"] in names:
            inside = True
            indent = len(line) - len(line.lstrip())
            # NumPy's form has the type after the name, and the text below.
            current = told.setdefault(found["name"], [])
            if not numpy and found["text"]:
                current.append(found["text"].strip())
        elif re.match(r":\w+", bare):
            inside, current = True, None
        elif current is not None and bare and len(line) - len(line.lstrip()) > indent:
            current.append(bare)
        elif bare or not inside:
            current = None
            if not inside:
                summary.append(bare)
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(summary)).strip()
    return joined, {name: " ".join(parts) for name, parts in told.items() if parts}


class ToolCalled(Record):
    """A call of a tool that was made.

    ``name``: the tool. ``arguments``: as the model wrote them. ``result``: what the model was told, or ``error``: what went
    wrong, which it was told, too.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        name: str
        arguments: str
        result: str | None
        error: str | None


class ToolRun(Record):
    """What ``run_tools`` came to.

    ``text``: the last answer's text. ``parsed``: the same read into its type. ``completion``: the last answer. ``messages``:
    the whole conversation, ready to go on with. ``steps``: how often the model was asked. ``calls``: every call of a tool.
    ``cost_nanos``, ``cost_usd``: cost of all answers; None when unknown.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        text: str | None
        parsed: Any
        completion: ChatCompletion | None
        messages: list[Message | Record]
        steps: int
        calls: list[ToolCalled]
        cost_nanos: int | None
        cost_usd: str | None


class Due(NamedTuple):
    """A call of a tool that is to be made, or why it can not be."""

    call: Callable[..., Any] | None
    arguments: dict[str, Any]
    error: str | None


def calling(request: dict[str, Any], messages: Any, max_steps: int, max_reasks: int, waits: bool) -> Course[ToolRun]:
    """The course of ``run_tools``: yields requests and gets their answers, and lists of what is Due and gets what came of each.
    `waits`: whether async functions may be called."""
    if max_steps < 1:
        raise ValueError(f"max_steps is 1 or more, not {max_steps}")
    tools: dict[str, Tool] = {}
    for tool in request["tools"]:
        name = str((tool.get("function") or {}).get("name"))
        if isinstance(tool, Tool) and tool.call is not None:
            if name in tools:
                raise ValueError(f"two tools are called {name!r}; give one another name by function_tool(..., name=...)")
            if not waits and _is_async(tool.call):
                raise TypeError(f"the tool {name!r} is async; AsyncClient's run_tools calls such functions")
            tools[name] = tool
        elif tool.get("type", "function") == "function":
            raise TypeError(f"run_tools calls functions, and the tool {name!r} has none; give the function itself")
    conversation = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    return _steps(request, conversation, tools, max_steps, max_reasks)


def _steps(request: dict[str, Any], messages: list[Any], tools: dict[str, Tool], max_steps: int, max_reasks: int) -> Course[ToolRun]:
    spent = Spent(request)
    run = ToolRun(text=None, parsed=None, completion=None, messages=messages, steps=0, calls=[], **spent.cost())

    def ended(kind: type[InterfuseError], message: str) -> InterfuseError:
        error = kind(message, {"kind": kind.kind, "run": run})
        spent.tell(error)
        return error

    while True:
        if run["steps"] == max_steps:
            raise ended(
                MaxStepsError, f"the model still called tools after {max_steps} steps; raise max_steps, or go on with run.messages"
            )
        if not spent.left():
            raise ended(
                BudgetExceededError,
                "no further step is made: the time is over, or the cost of a step is unknown and with it what is left of max_cost_usd",
            )
        try:
            answer = yield from _asked(spent.limited({**request, "messages": list(messages)}), max_reasks)
        except InterfuseError as error:
            spent.tell(error)
            run.update(spent.cost())
            error._told["run"] = run
            raise
        spent.add(answer)
        message = answer["choices"][0]["message"]
        messages.append(message)
        run["steps"] += 1
        run.update({"completion": answer, "text": message.get("content"), **spent.cost()})
        wanted = [call for call in message.get("tool_calls") or () if call.get("function") is not None]
        if not wanted:
            run["parsed"] = message.parsed
            return run
        results = yield [_due(tools, call["function"]) for call in wanted]
        for call, (result, wrong) in zip(wanted, results, strict=True):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            run["calls"].append(ToolCalled(name=name, arguments=arguments, result=result, error=wrong))
            said = result if wrong is None else f"error: {wrong}"
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": said})


def _asked(request: dict[str, Any], max_reasks: int) -> Course[Any]:
    if is_type(request.get("response_format")):
        return (yield from asking(request, max_reasks, {}))
    return (yield request)


def _due(tools: dict[str, Tool], function: Any) -> Due:
    tool = tools.get(function["name"])
    if tool is None:
        return Due(None, {}, f"there is no tool {function['name']!r}; there are {', '.join(tools)}")
    try:
        return Due(tool.call, tool.read(function["arguments"]), None)
    except Unfit as unfit:
        return Due(None, {}, f"the arguments do not fit: {'; '.join(unfit.problems)}")


Came = tuple[str | None, str | None]
"""A call's result, or its error, as the model is told."""


def made(due: list[Due]) -> list[Came]:
    """Makes calls, one after the other. What one raises is told to the model."""
    return [_made(one) for one in due]


def _made(due: Due) -> Came:
    if due.call is None:
        return None, due.error
    try:
        value = due.call(**due.arguments)
    except Exception as error:
        return None, _said(error)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise TypeError(f"{due.call!r} is async; AsyncClient's run_tools calls such functions")
    return _text(value), None


async def made_async(due: list[Due]) -> list[Came]:
    """Makes calls at the same time; functions that are not async, each in a thread of its own."""
    import asyncio

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_made_async(one)) for one in due]
    return [task.result() for task in tasks]


async def _made_async(due: Due) -> Came:
    import asyncio

    if due.call is None:
        return None, due.error
    try:
        if _is_async(due.call):
            value = await due.call(**due.arguments)
        else:
            value = await asyncio.to_thread(due.call, **due.arguments)
            if inspect.isawaitable(value):
                value = await value
    except Exception as error:
        return None, _said(error)
    return _text(value), None


def _is_async(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(type(call), "__call__", None))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _text(value: Any) -> str:
    return value if type(value) is str else json.dumps(plain(value), ensure_ascii=False)
