"""One's own parts as Python objects: imported from their copies, handed what they ask for, their errors told in words.

A part is written `FILE.py:NAME`. What is imported is the copy that `store.source` keeps, never the user's file, so that
editing it while a grid trains changes nothing; nothing of the user's that lies elsewhere is. Knows nothing of torch.
"""

from __future__ import annotations

import difflib
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from harness.data.own_import import LiveModuleError, import_copy
from harness.design.expansion import Plan
from harness.design.own_parts import OFFERED, OwnSource, split_reference
from harness.errors import HarnessError, OwnPartError
from harness.store.rundir import ExperimentDirectory
from harness.store.source import keep_sources

_TAKEN = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@dataclass(frozen=True)
class OwnCode:
    """files: FILE as the experiment file writes it -> the copy to import, beside the copies of what it imports.

    `OwnCode({})`: nothing of one's own. A file is imported once by each instance; a pickled one imports anew, so that
    a process that gets it starts with the file's own state.
    """

    files: Mapping[str, Path]
    _modules: dict[str, ModuleType] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        return OwnCode, (dict(self.files),)

    def load(self, reference: str, /) -> Any:
        """What `FILE.py:NAME` names: a class, a function, whatever the file says.

        sys.path and sys.modules are as before afterwards: files of equal names in other folders are other modules.
        Raises OwnPartError at the user's line where the file cannot be imported or does not have the name.
        """
        file, name = split_reference(reference)
        module = self._module(file)
        try:
            return vars(module)[name]
        except KeyError:
            raise OwnPartError(f"there is no {name}", where=file, remedy=_similar(name, module)) from None

    def call(self, reference: str, /, **offered: Any) -> Any:
        """What `FILE.py:NAME` returns for those of the `offered` arguments that its signature names.

        Parameters with a default that nobody offers keep it; **kwargs get nothing. Raises OwnPartError for a
        parameter without a default that nobody offers, and for whatever the user's code raises.
        """
        target = self.load(reference)
        if not callable(target):
            raise OwnPartError(
                "is neither a class nor a function", where=reference, remedy=f"It is {type(target).__name__}."
            )
        arguments = self._arguments(reference, target, offered)
        with self.told(f"calling {reference}"):
            return target(*arguments.args, **arguments.kwargs)

    @contextmanager
    def told(self, doing: str = "") -> Iterator[None]:
        """A block in which an exception that the user's code raised becomes an OwnPartError at the user's line.

        doing: what goes on, for the message. Whatever did not pass through the user's code is left as it is.
        """
        try:
            yield
        except HarnessError:
            raise
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            where = self._line(error)
            if where is None:
                raise
            raise _told(error, doing, where) from error

    def _module(self, file: str) -> ModuleType:
        if file in self._modules:
            return self._modules[file]
        path = self.files[file].absolute()
        try:
            module = import_copy(path, Path(file).parent.absolute())
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            raise _told(error, f"importing {file}", self._line(error) or file, _advice(error, file)) from error
        self._modules[file] = module
        return module

    def _arguments(
        self, reference: str, target: Callable[..., Any], offered: Mapping[str, Any]
    ) -> inspect.BoundArguments:
        signature = _signature(reference, target)
        taken = {name: parameter for name, parameter in signature.parameters.items() if parameter.kind in _TAKEN}
        for name, parameter in taken.items():
            if name not in offered and parameter.default is inspect.Parameter.empty:
                raise OwnPartError(
                    f"{reference} needs {name!r}, which nobody gives it",
                    where=self._definition(reference, target),
                    remedy=_offer(offered),
                )
        bound = signature.bind_partial()
        bound.arguments |= {name: offered[name] for name in taken if name in offered}
        bound.apply_defaults()
        return bound

    def _refuse_other_parameters(self, reference: str, told: set[str], known: set[str]) -> None:
        """OwnPartError where a part does not take, of the `known` names, what its text told."""
        target = self.load(reference)
        signature = _signature(reference, target)
        taken = {name for name, parameter in signature.parameters.items() if parameter.kind in _TAKEN}
        for name in sorted((taken ^ told) & known):
            takes, says = ("takes", "does not say so") if name in taken else ("does not take", "says that it does")
            raise OwnPartError(
                f"{reference} {takes} {name!r} when it runs, but its text {says}, and cells are made from that",
                where=self._definition(reference, target),
                remedy="Write a class whose own __init__, or a function whose def, names everything that it takes.",
            )

    def _definition(self, reference: str, target: Any) -> str:
        file, _ = split_reference(reference)
        is_class = isinstance(target, type)
        function = target.__init__ if is_class else target
        code = getattr(inspect.unwrap(function), "__code__", None)
        return self._users(code.co_filename, code.co_firstlineno) or file if code else file

    def _line(self, error: BaseException) -> str | None:
        """FILE:LINE of the user's, where the error came from: the innermost line of the user's own."""
        if isinstance(error, SyntaxError) and error.filename:
            where = self._users(error.filename, error.lineno or 1)
            if where:
                return where
        frames = traceback.extract_tb(error.__traceback__)
        places = (self._users(frame.filename, frame.lineno or 1) for frame in reversed(frames))
        return next((place for place in places if place), None)

    def _users(self, filename: str, line: int) -> str | None:
        """The user's FILE:LINE of a line of a copy; None for other code."""
        for file, path in self.files.items():
            folder = path.absolute().parent
            if Path(filename).is_relative_to(folder):
                return f"{(Path(file).parent / Path(filename).relative_to(folder)).as_posix()}:{line}"
        return None


def imported(sources: Mapping[str, OwnSource]) -> OwnCode:
    """All of `sources`, imported at once from copies that are gone afterwards: for commands that keep nothing."""
    with TemporaryDirectory(prefix="harness-") as folder:
        code = OwnCode(keep_sources(ExperimentDirectory(Path(folder).absolute()), sources))
        for file in code.files:
            code._module(file)
    return code


def checked_code(plan: Plan) -> OwnCode:
    """`imported(plan.sources)`, each part compared with the plan: for commands that keep nothing."""
    code = imported(plan.sources)
    check_signatures(code, plan)
    return code


def check_signatures(own_code: OwnCode, plan: Plan) -> None:
    """OwnPartError for a part that takes something else when it runs than the plan read in its text.

    Compared are the names that matter: what the harness offers to any kind of part, and own factors.
    """
    known = {name for offered in OFFERED.values() for name in offered} | dict(plan.experiment.baseline.own).keys()
    for reference, parameters in plan.parameters.items():
        own_code._refuse_other_parameters(reference, set(parameters), known)


def _signature(reference: str, target: Any) -> inspect.Signature:
    try:
        return inspect.signature(target)
    except (ValueError, TypeError) as error:
        raise OwnPartError(f"its parameters cannot be told: {error}", where=reference) from error


def _told(error: BaseException, doing: str, where: str, remedy: str = "") -> OwnPartError:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return OwnPartError(f"{doing}: {said}" if doing else said, where=where, remedy=remedy)


def _advice(error: BaseException, file: str) -> str:
    """Where a module lies elsewhere among the user's files: what to do."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    is_live = isinstance(error, LiveModuleError) or (name and (Path(f"{name}.py").is_file() or Path(name).is_dir()))
    return f"Write {name} beside {file}: only what lies there is copied and part of the key." if is_live else ""


def _similar(name: str, module: ModuleType) -> str:
    own = [found for found, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    close = difflib.get_close_matches(name, own, n=1)
    return f"Did you mean {close[0]}?" if close else f"The file has {', '.join(own) or 'nothing of its own'}."


def _offer(offered: Mapping[str, Any]) -> str:
    return f"Offered: {', '.join(offered)}. Give it a default, or make it a factor: NAME = LEVEL under [baseline.own]."
