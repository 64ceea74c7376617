"""What is wrong with a key or a value of an experiment file, in words: what is allowed, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from pydantic_core import ErrorDetails

from harness.design.experiment import Experiment
from harness.design.factors import ALIASES, FACTORS, PLAIN, Hyperparameters

LATER: dict[tuple[str, ...], str] = {
    ("resources",): "use --workers and --threads in this version",
    ("slurm",): "the slurm executor is not part of this version",
}
"""Keys of the full file format that this version refuses by name, with what to tell."""

REPEATED = ("evaluation", "grid", "cell", "exclude", "claim")
"""Tables that are lists of tables."""

EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text in quotes",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
}


def explain(errors: Sequence[ErrorDetails], path: tuple[str | int, ...]) -> str:
    """What is wrong at one place of the file, and what is allowed there.

    errors: several where a value may be of several kinds; those that merely say that it is of another kind are left
    out where one says more.
    """
    if any(error["type"] == "literal_error" for error in errors):
        literal = next(error for error in errors if error["type"] == "literal_error")
        if any(error["type"].startswith("string") for error in errors):
            return _not_allowed(literal["input"], f"{_listed(literal)} or FILE.py:NAME of your own", path)
    telling = [error for error in errors if not error["type"].endswith("_type")]
    words = dict.fromkeys(word for error in errors if (word := _expected(error)))
    if not telling and len(words) > 1:
        return f"expected {' or '.join(words)}, got {_short(errors[0]['input'])}"
    if all(error["type"] == "literal_error" for error in telling):
        telling = list(errors)
    return " or ".join(dict.fromkeys(_explained(error, path) for error in telling))


def _expected(error: ErrorDetails) -> str | None:
    return next((words for name, words in EXPECTED.items() if error["type"].startswith(name)), None)


def _listed(literal: ErrorDetails) -> str:
    return str(literal.get("ctx", {})["expected"]).replace(" or ", ", ")


def _explained(error: ErrorDetails, path: tuple[str | int, ...]) -> str:
    """One error in words."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return _unknown_key(path)
        case "missing":
            return "is missing and has no default"
        case "literal_error":
            return _not_allowed(given, str(context["expected"]), path)
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            relation, bound = next(iter(context.items()))
            words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}[str(relation)]
            return f"{_short(given)} is outside the domain; allowed: {words} {bound}"
        case "finite_number":
            return f"{_short(given)} is not a finite number"
        case "string_too_long":
            return f"longer than {context['max_length']} characters"
        case "too_short" | "string_too_short":
            return "may not be empty"
        case "too_long":
            return f"too many entries or the wrong number of them; at most {context.get('max_length')}"
        case "string_pattern_mismatch" if context.get("pattern") == PLAIN:
            return f"{_short(given)} has control characters; leave them out"
        case "string_pattern_mismatch":
            return f"{_short(given)} is not allowed here; use letters, digits, spaces, dots, dashes and underscores"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
    if kind.startswith(("tuple", "list")) and isinstance(given, dict) and path in [(name,) for name in REPEATED]:
        return f"write [[{path[0]}]], with two brackets on each side: there may be several"
    expected = _expected(error)
    return f"expected {expected}, got {_short(given)}" if expected else str(error["msg"])


def _not_allowed(given: object, expected: str, path: tuple[str | int, ...]) -> str:
    allowed = re.findall(r"'([^']*)'", expected)
    near = difflib.get_close_matches(str(given), allowed, 1)
    others = [name for name in _siblings(path) if given in literal_levels(name)]
    if others and given not in allowed:
        hint = f" ({given!r} is for {' and '.join(others)} alone)"
    elif ".py" in str(given):
        hint = " (a part of your own is named by its file and its name)"
    else:
        hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{_short(given)} is not allowed; allowed: {expected}{hint}"


def _siblings(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The factors that share an alias with the one at `path`."""
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return next((fields for alias, fields in ALIASES.items() if name in (alias, *fields)), ())


def literal_levels(factor: str) -> tuple[object, ...]:
    """The levels of a factor that are words."""
    annotation = Hyperparameters.model_fields[factor].annotation
    options = (annotation, *get_args(annotation))
    return tuple(word for option in options if get_origin(option) is Literal for word in get_args(option))


def _unknown_key(path: tuple[str | int, ...]) -> str:
    names = tuple(part for part in path if isinstance(part, str))
    if names in LATER:
        return LATER[names]
    allowed = allowed_keys(path[:-1])
    tables = Experiment.model_fields if len(names) == 1 else ()
    elsewhere = [table for table in tables if names[-1] in allowed_keys((table,))]
    if elsewhere:
        return f"unknown key; did you mean {elsewhere[0]}.{names[-1]}?"
    near = difflib.get_close_matches(str(path[-1]), allowed, 1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; allowed here: {', '.join(allowed)}"


def allowed_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that the table at `path` may have."""
    factors = [*FACTORS, *ALIASES, "own"]
    match [part for part in path if isinstance(part, str)]:
        case []:
            return list(Experiment.model_fields)
        case ["baseline" | "exclude"] | ["grid", "levels"]:
            return factors
        case ["cell"]:
            return ["name", "seeds", *factors]
        case [table]:
            annotation = Experiment.model_fields[table].annotation
            model = next(iter(getattr(annotation, "__args__", ())), annotation)
            return list(getattr(model, "model_fields", {}))
    return []


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
