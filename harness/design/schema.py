"""The experiment file's JSON schema and the words of the factor reference, made from the one definition of both."""

from __future__ import annotations

import re
from typing import Any

from harness.design.experiment import Experiment
from harness.design.factors import ALIASES, FACTORS, Levels
from harness.design.own_parts import PATTERN


def experiment_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of an experiment file. `[baseline]` takes aliases as well as factors."""
    schema = Experiment.model_json_schema()
    levels = Levels.model_json_schema(ref_template="#/$defs/{model}")
    schema["$defs"] |= levels.pop("$defs", {})
    schema["$defs"]["Levels"] = levels
    schema["properties"]["baseline"] = {
        "$ref": "#/$defs/Levels",
        "description": "the reference level of every factor; what is not named keeps its default",
    }
    schema["$defs"].pop("Hyperparameters", None)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "harness experiment"
    return schema


def allowed_levels(factor: str) -> str:
    """The domain of a factor or an alias in words: `batch | none`, `1 to 65536`, `more than 0, at most 10`."""
    if factor in (*FACTORS, *ALIASES):
        return allowed_values(Levels.model_json_schema()["properties"][factor])
    return "a number, a text, true or false"


def allowed_values(schema: dict[str, Any]) -> str:
    """What one property of a JSON schema may be, in words; null (a key that may be left out) is not told."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "anyOf" in schema:
        return " or ".join(allowed_values(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "prefixItems" in schema:
        items = [allowed_values(item) for item in schema["prefixItems"]]
        is_number = schema["prefixItems"][0].get("type") in ("integer", "number")
        return (
            f"{len(items)} numbers, each {items[0]}" if len(set(items)) == 1 and is_number else f"[{', '.join(items)}]"
        )
    if schema.get("type") == "array":
        return f"a list of {allowed_values(schema['items'])}"
    if schema.get("pattern") == PATTERN:
        return "FILE.py:NAME"
    if schema.get("type") == "object":
        return "a table"
    if schema.get("type") in ("boolean", "string"):
        return {"boolean": "true or false", "string": "text"}[schema["type"]]
    bounds = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
    }
    parts = [text.format(_number(schema[name])) for name, text in bounds.items() if name in schema]
    return re.sub(r"^at least (\S+), at most", r"\1 to", ", ".join(parts)) or str(schema.get("type", ""))


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
