"""Brings the prices of core/data/models.json up to date from the packages that carry price lists.

The file itself is our table: which id every provider gives a model, and what no list says (limits, profiles, notes, hours).
Prices come from LiteLLM's map, as its package on PyPI carries it (MIT), by these rules:

- A row that rests on LiteLLM and has the price that the version it cites gave, gets the price of the version read. A row
  that rests on other lists too, or was decided by hand, against that version, keeps its price; where it differs that is told.
- What the map says beyond the base price (batch, flex, priority, long prompts in these lanes, audio, images, searches) is
  added where its base price is the row's, so that both speak of the same thing.
- A price of 0 means "not priced" and is left out. A row that is not in the map any more is kept and told.

    models.py [--litellm VERSION] [--write]

Without --write nothing is changed; the exit code is 1 when something would be. Standard library and pip only.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[2] / "core" / "data" / "models.json"
MAP = "litellm/model_prices_and_context_window_backup.json"

# How LiteLLM begins the keys of a provider's models, likeliest first.
PREFIXES = {
    "alibaba": ["dashscope/"],
    "anthropic": [""],
    "azure": ["azure/", "azure_ai/"],
    "bedrock": ["", "bedrock/"],
    "bedrock-mantle": ["bedrock_mantle/", ""],
    "cerebras": ["cerebras/"],
    "cloudflare-workers-ai": ["cloudflare/"],
    "cohere": ["", "cohere/"],
    "deepinfra": ["deepinfra/"],
    "deepseek": ["deepseek/", ""],
    "fireworks-ai": ["fireworks_ai/"],
    "gemini": ["gemini/"],
    "groq": ["groq/"],
    "mistral": ["mistral/"],
    "moonshotai": ["moonshot/"],
    "nebius": ["nebius/"],
    "novita": ["novita/"],
    "openai": [""],
    "perplexity": ["perplexity/"],
    "sambanova": ["sambanova/"],
    "together": ["together_ai/"],
    "vertex": ["vertex_ai/", ""],
    "xai": ["xai/"],
    "zai": ["zai/"],
}

# Beginning of a name in the map, our name, factor to our unit.
MILLION, THOUSAND = Decimal(1_000_000), Decimal(1_000)
NAMES = [
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h", MILLION),
    ("cache_creation_input_token_cost", "cache_write", MILLION),
    ("cache_read_input_audio_token_cost", "cache_read_audio", MILLION),
    ("cache_read_input_image_token_cost", "cache_read_image", MILLION),
    ("cache_read_input_token_cost", "cache_read", MILLION),
    ("input_cost_per_audio_token", "input_audio", MILLION),
    ("input_cost_per_image_token", "input_image", MILLION),
    ("input_cost_per_request", "request", Decimal(1)),
    ("input_cost_per_token", "input", MILLION),
    ("output_cost_per_audio_token", "output_audio", MILLION),
    ("output_cost_per_image_token", "output_image", MILLION),
    ("output_cost_per_reasoning_token", "reasoning", MILLION),
    ("output_cost_per_token", "output", MILLION),
]
# Lanes that our rows have; the map knows more, under words that no answer says.
LANES = {"batches": "batch", "flex": "flex", "priority": "priority"}
BASE = ["input", "output", "cache_read", "cache_write", "cache_write_1h"]
ORDER = [name for name in [*BASE, *(own for _, own, _ in NAMES if own not in BASE), "web_search_per_1000"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--litellm", metavar="VERSION", help="version to read; the newest by default")
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    text = TABLE.read_text()
    [cited] = re.findall(r'"tag": "litellm",[^}]*"version": "([^"]+)"', text)
    with tempfile.TemporaryDirectory() as place:
        version, prices = litellm(Path(place) / "new", arguments.litellm)
        _, before = (version, prices) if version == cited else litellm(Path(place) / "old", cited)
    day = date.today().isoformat()
    told: list[str] = []
    fresh = refresh(text, before, prices, f"litellm@{version}", day, told)
    if fresh != text and version != cited:
        fresh = sources(fresh, version, day)
    for line in told:
        print(line)
    counts = {kind: sum(line.startswith(kind) for line in told) for kind in ("changed", "added", "differs", "missing")}
    print(f"litellm {version} after {cited}: " + ", ".join(f"{n} rows {kind}" for kind, n in counts.items()))
    if fresh == text:
        return 0
    json.loads(fresh)
    if arguments.write:
        TABLE.write_text(fresh)
        print(f"wrote {TABLE}")
        return 0
    print("nothing written; --write does")
    return 1


def litellm(place: Path, version: str | None) -> tuple[str, dict[str, Any]]:
    """The map in the package, and the package's version."""
    wanted = "litellm" + (f"=={version}" if version else "")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place), wanted]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    [wheel] = place.glob("litellm-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        prices: dict[str, Any] = json.loads(archive.read(MAP), parse_float=Decimal, parse_int=Decimal)
    return wheel.name.split("-")[1], prices


def refresh(text: str, before: dict[str, Any], prices: dict[str, Any], source: str, day: str, told: list[str]) -> str:
    """The table's text with prices put in; every other byte stays."""
    lines, model = [], ""
    for line in text.split("\n"):
        if head := re.match(r'\{"id": "([^"]+)"', line):
            model = head[1]
        row = re.match(r'^  "([^"]+)": (\{.*\})(,|\}\},?|\}\}\]\}?)?$', line)
        if not row:
            lines.append(line)
            continue
        body, rest = split_row(line, row[1])
        offer = json.loads(body)
        new = one(model, row[1], offer, before, prices, source, day, told)
        lines.append(f'  "{row[1]}": {json.dumps(new, ensure_ascii=False)}{rest}' if new != offer else line)
    return "\n".join(lines)


def split_row(line: str, provider: str) -> tuple[str, str]:
    """The row's object, and what follows it on its line."""
    start = len(f'  "{provider}": ')
    _, end = json.JSONDecoder().raw_decode(line, start)
    return line[start:end], line[end:]


def one(
    model: str, provider: str, offer: dict[str, Any], before: dict[str, Any], prices: dict[str, Any], source: str, day: str, told: list[str]
) -> dict[str, Any]:
    if offer.get("status") == "retired" or provider not in PREFIXES:
        return offer
    name = f"{model} at {provider}"
    ours, theirs = offer.get("price"), price_of(provider, offer, prices)
    if theirs is None:
        if "litellm@" in offer["source"]:
            told.append(f"missing {name}: {offer['id']} has no price in the map; the row of {offer['as_of']} is kept")
        return offer
    if ours is None:
        return offer
    if alike(ours, theirs):
        merged = merge(ours, theirs)
        if merged != ours:
            told.append(f"added {name}: " + ", ".join(k for k in merged if merged[k] != ours.get(k)))
        return {**offer, "price": merged}
    cited = price_of(provider, offer, before)
    if "litellm@" not in offer["source"] or cited is None or not alike(ours, cited):
        told.append(f"differs {name}: {brief(ours)} of {offer['source']}, {brief(theirs)} of {source}; the former is kept")
        return offer
    told.append(f"changed {name}: {brief(ours)} of {offer['source']}, now {brief(theirs)}")
    own = {k: v for k, v in ours.items() if k in ("off_peak", "history")}
    return {**offer, "price": {**theirs, **own}, "source": source, "as_of": day}


def price_of(provider: str, offer: dict[str, Any], prices: dict[str, Any]) -> dict[str, Any] | None:
    """What the map asks for a row of ours."""
    ids = [offer["id"], offer.get("base_id"), *offer.get("other_ids", {}).values()]
    keys = [prefix + id_ for id_ in ids if id_ for prefix in PREFIXES[provider]]
    entry = next((prices[key] for key in keys if "input_cost_per_token" in prices.get(key, {})), None)
    price = row_of(entry, inclusive=provider == "xai") if entry else {}
    return price if price.get("input") not in (None, "0") else None


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("input", "output"))


def merge(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Ours, with what only the map says. Of two that differ, ours stays; so does that a model has no dearer long prompts,
    which the map goes on to say of models whose tiers ended."""
    merged = dict(ours)
    if "long_context" not in ours:
        theirs = without_long(theirs)
    for name in [*ORDER, "batch", "service_tiers"]:
        if name not in theirs:
            continue
        if name == "batch" and name in merged:
            lane = merged[name]
            if all(lane.get(k) == theirs[name].get(k) for k in ("input", "output")):
                merged[name] = {**theirs[name], **lane}
        else:
            merged.setdefault(name, theirs[name])
    return merged


def without_long(price: dict[str, Any]) -> dict[str, Any]:
    """The same without rows for long prompts, in its lanes too."""
    return {k: without_long(v) if isinstance(v, dict) else v for k, v in price.items() if k != "long_context"}


def brief(price: dict[str, Any]) -> str:
    return "/".join(str(price.get(name, "-")) for name in BASE[:3])


def row_of(entry: dict[str, Any], inclusive: bool) -> dict[str, Any]:
    """An entry of the map as a row of ours."""
    rates: dict[tuple[str, int], dict[str, str]] = {}
    for key, value in entry.items():
        found = place(key)
        if found is None or not isinstance(value, Decimal) or value < 0:
            continue
        name, factor, lane, above = found
        if value == 0 and name not in ("input", "output"):
            continue
        rates.setdefault((lane, above), {})[name] = decimal(value * factor)
    sizes = entry.get("search_context_cost_per_query")
    if isinstance(sizes, dict) and len(set(sizes.values())) == 1:
        value = next(iter(sizes.values()))
        if isinstance(value, Decimal) and value > 0:
            rates.setdefault(("", 0), {})["web_search_per_1000"] = decimal(value * THOUSAND)

    def lane_of(lane: str) -> dict[str, Any]:
        found: dict[str, Any] = ordered(rates.get((lane, 0), {}))
        long = [
            {"above_input_tokens": above, **ordered(own), "inclusive": inclusive}
            for (of, above), own in sorted(rates.items())
            # Half a row prices half a request.
            if of == lane and above and "input" in own and "output" in own
        ]
        if long:
            found["long_context"] = long
        return found

    price = lane_of("")
    if "input" in (batch := lane_of("batch")) and "output" in batch:
        price["batch"] = batch
    tiers = {lane: lane_of(lane) for lane in ("flex", "priority")}
    tiers = {lane: own for lane, own in tiers.items() if "input" in own and "output" in own}
    if tiers:
        price["service_tiers"] = tiers
    return price


def ordered(rates: dict[str, str]) -> dict[str, Any]:
    return {name: rates[name] for name in ORDER if name in rates}


def place(key: str) -> tuple[str, Decimal, str, int] | None:
    """Takes a name of the map apart: ours, factor, lane, threshold."""
    for begin, name, factor in NAMES:
        if not key.startswith(begin) or (len(key) > len(begin) and key[len(begin)] != "_"):
            continue
        rest = re.fullmatch(r"(?:_above_(\d+)k_tokens)?(?:_([a-z]+))?", key[len(begin) :])
        if rest is None or (rest[2] and rest[2] not in LANES):
            return None
        return name, factor, LANES.get(rest[2] or "", ""), int(rest[1] or 0) * 1000
    return None


def decimal(value: Decimal) -> str:
    """At most six decimals: what is beyond is the noise of binary floats."""
    text = f"{value.quantize(Decimal('0.000001'), ROUND_HALF_UP):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def sources(text: str, version: str, released: str) -> str:
    """The list of sources with the version that was read."""
    line = f'  {{"tag": "litellm", "what": "Python package litellm", "version": "{version}", "date": "{released}", "licence": "MIT"}},'
    return re.sub(r'  \{"tag": "litellm",.*\},', line, text, count=1)


if __name__ == "__main__":
    sys.exit(main())
