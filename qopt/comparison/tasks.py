"""What a study asks, solve by solve: instances are found, checked and counted, and none is kept."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from qopt.comparison.design import Design, Instances, Run, Setting, digest
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.families import family_named, family_of
from qopt.core.method import Method, Options
from qopt.core.problem import Problem
from qopt.core.reading import bundled, from_data, load

LEFT_OUT = {"name", "description", "source", "best_known"}
"""Fields of a problem that do not change what it asks."""


def fingerprint(problem: Problem) -> str:
    """16 hex digits of what a problem asks, whatever it is called."""
    return digest(_said(problem.model_dump(mode="json", exclude=LEFT_OUT)))


def _said(data: Any) -> Any:
    """Plain data without fields that are off or empty: one that a later version knows leaves old instances theirs."""
    if isinstance(data, list):  # its entries stay where they are
        return [_said(value) for value in data]
    if not isinstance(data, dict):
        return data
    said = {name: _said(value) for name, value in data.items()}
    return {name: value for name, value in said.items() if not (value is None or value is False or value in ([], {}))}


@dataclass(frozen=True)
class Source:
    """One instance of a study, as something that can be sent: its problem is made where it is solved.

    Attributes
    ----------
    kind : ``name``, ``generate`` or ``problem``.
    value : a bundled name or path; ``[family, size, seed, options]``; or plain data.
    family : of the problem.
    name : of the instance, in tables; for a generated one empty, its problem has it.
    fingerprint : of the problem; for a generated one empty, what it is drawn from stands for it.
    """

    kind: str
    value: Any
    family: str
    name: str = ""
    fingerprint: str = ""

    @property
    def identity(self) -> str:
        """What the key of a result says of the instance."""
        return self.fingerprint or digest(self.value)

    def problem(self) -> Problem:
        """The problem itself."""
        found: Problem
        if self.kind == "generate":
            family, size, seed, options = self.value
            found = family_named(family).part("generate")(size, seed=seed, **options)
        else:
            found = load(self.value) if self.kind == "name" else from_data(self.value)
        return found


@dataclass(frozen=True)
class Task:
    """One solve.

    Attributes
    ----------
    source : the instance.
    run : label of the run.
    setting : method and options.
    repeat : counted from 0.
    at : its place in the study: numbers of the instance, of the run among those of its family, and of the repeat.
    key : 16 hex digits of instance, setting, repeat and seed: whose result a line of a journal is.
    """

    source: Source
    run: str
    setting: Setting
    repeat: int
    at: tuple[int, int, int]
    key: str

    @property
    def seed(self) -> int | None:
        """Of the solver: each repeat has its own."""
        return None if self.setting.seed is None else self.setting.seed + self.repeat


@dataclass(frozen=True)
class Tasks:
    """All solves of a study, or those of a share, in order: by instance, then run, then repeat.

    Parameters
    ----------
    study : what is asked.
    shard : (i, n), share i of n, counted from 1; instances are dealt out in turn.
    """

    study: Design
    shard: tuple[int, int] | None = None

    def sources(self) -> Iterator[Source]:
        """The instances of the share, one by one."""
        return (source for _, source in self._mine())

    def _mine(self) -> Iterator[tuple[int, Source]]:
        """The instances of the share with their numbers in the study."""
        share, shares = self.shard or (1, 1)
        return ((number, source) for number, source in enumerate(self._all()) if number % shares == share - 1)

    def _all(self) -> Iterator[Source]:
        for entry, names in zip(self.study.instances, self._names, strict=True):
            if entry.generate is not None:
                yield from _drawn(entry)
            elif entry.problem is not None:
                problem = from_data(entry.problem)
                yield Source("problem", entry.problem, family_of(problem).name, problem.name, fingerprint(problem))
            else:
                yield from (self._named[name] for name in names)

    @cached_property
    def _names(self) -> list[list[str]]:
        """Of each entry the names that its patterns stand for, none twice."""
        named = ((name for pattern in e.names or () for name in _matching(pattern)) for e in self.study.instances)
        return [list(dict.fromkeys(names)) for names in named]

    @cached_property
    def _named(self) -> dict[str, Source]:
        """What each name stands for now, its problem looked at once."""
        found = {}
        for name in dict.fromkeys(name for names in self._names for name in names):
            problem = load(name)
            found[name] = Source("name", name, family_of(problem).name, problem.name, fingerprint(problem))
        return found

    def count(self) -> int:
        """How many solves there are, without going through generated ones."""
        share, shares = self.shard or (1, 1)
        total, before = 0, 0
        for entry, names in zip(self.study.instances, self._names, strict=True):
            if entry.generate is not None:
                number = len(entry.size or ()) * len(entry.seeds or ())
                mine = sum(1 for _ in range((share - 1 - before) % shares, number, shares))
                total += mine * len(self.settings(entry.generate))
                before += number
                continue
            families = ["" if entry.problem else self._named[name].family for name in names] or [""]
            for family in families:
                if before % shares == share - 1:
                    own = family or family_of(from_data(entry.problem)).name
                    total += len(self.settings(own))
                before += 1
        return total * self.study.repeats

    def __iter__(self) -> Iterator[Task]:
        for number, source in self._mine():
            identity = source.identity
            for place, (run, setting) in enumerate(self.settings(source.family)):
                for repeat in range(self.study.repeats):
                    at = number, place, repeat
                    yield Task(source, run, setting, repeat, at, self._key(identity, setting, repeat))

    def _key(self, identity: str, setting: Setting, repeat: int) -> str:
        seed = None if setting.seed is None else setting.seed + repeat
        data = setting.model_dump(exclude_none=True) | {"seed": seed}
        return digest([identity, data, repeat])

    @cached_property
    def _settings(self) -> dict[str, list[tuple[str, Setting]]]:
        return {}

    def settings(self, family: str) -> list[tuple[str, Setting]]:
        """The runs that a family takes part in, with their labels: those whose method and options it has."""
        if family not in self._settings:
            methods: tuple[Method, ...] = family_named(family).part("registry").METHODS
            chosen: dict[str, tuple[str, Setting]] = {}
            for run in self.study.runs:
                for label, setting in _of_family(run, methods):
                    chosen.setdefault(setting.model_dump_json(), (label, setting))
            self._settings[family] = list(chosen.values())
        return self._settings[family]

    def check(self) -> None:
        """Raise what is wrong with runs and generators before anything is solved.

        Raises
        ------
        InputError
            A run that no instance takes part in, two runs of one label, a generator that refuses its arguments.
        """
        families = {source.family for source in self._named.values()}
        families |= {family_of(from_data(e.problem)).name for e in self.study.instances if e.problem is not None}
        for number, entry in enumerate(self.study.instances):
            if entry.generate is not None:
                families.add(entry.generate)
                _try(number, entry)
        known = {name: family_named(name).part("registry").METHODS for name in sorted(families)}
        for number, run in enumerate(self.study.runs):
            for setting in run.single():
                _check_used(f"runs[{number}]", setting, known)
        for family in known:
            labels = [label for label, _ in self.settings(family)]
            for label in labels:
                if labels.count(label) > 1:
                    raise InputError("runs", f"two runs called {label}", "labels of their own")


def _try(number: int, entry: Instances) -> None:
    """Draw the first instance of a generator of each size."""
    for size in entry.size or ():
        try:
            next(_drawn(entry.model_copy(update={"size": (size,)}))).problem()
        except InputError as error:
            raise InputError(f"instances[{number}].{error.field}", error.found, error.allowed) from None
        except TypeError as error:  # a keyword that it does not have
            raise InputError(f"instances[{number}].options", str(error), f"keywords of {entry.generate}") from None


def _check_used(where: str, setting: Setting, known: dict[str, tuple[Method, ...]]) -> None:
    """Refuse a run that no family takes part in, with the reason."""
    every = [method for methods in known.values() for method in methods]
    mine = [method for method in every if setting.method in (method.name, "auto", "all")]
    if not mine:
        names = ", ".join(["all", "auto", *dict.fromkeys(method.name for method in every)])
        raise InputError(f"{where}.method", shown(setting.method), names)
    faults = [_fault(method, setting) for method in mine]
    if all(faults):
        first = next(fault for fault in faults if fault)
        raise InputError(f"{where}.{first.field}", first.found, first.allowed)


def _fault(method: Method, setting: Setting) -> InputError | None:
    """What is wrong with options for a method, or None; a solver that is not there will be a row with its reason."""
    try:
        method.check_options(Options(**{name: getattr(setting, name) for name in OPTIONS}))
    except InputError as error:
        return error
    except MethodError:
        return None
    return None


OPTIONS = ("threads", "seed", "solver", "formulation", "gap")
"""Fields of a setting that are options of a solve."""


def _of_family(run: Run, methods: tuple[Method, ...]) -> Iterator[tuple[str, Setting]]:
    """The settings of a run that methods of a family take; ``all`` is each method that does."""
    for setting in run.single():
        for method in methods:
            if setting.method in (method.name, "all") and _fault(method, setting) is None:
                own = setting.model_copy(update={"method": method.name})
                yield run.label or own.label, own
        if setting.method == "auto" and any(_fault(method, setting) is None for method in methods):
            yield run.label or setting.label, setting


def _drawn(entry: Instances) -> Iterator[Source]:
    """The instances of a generator."""
    for size in entry.size or ():
        for seed in entry.seeds or ():
            yield Source("generate", [entry.generate, size, seed, entry.options], str(entry.generate))


def _matching(pattern: str) -> list[str]:
    """Bundled names and files that a pattern stands for; a name without wildcards stands for itself."""
    if not any(sign in pattern for sign in "*?["):
        return [pattern]
    if os.path.exists(pattern):  # a file whose name has brackets
        return [pattern]
    found = [name for name in bundled() if fnmatch.fnmatchcase(name, pattern)]
    found += sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not found:
        raise InputError("instances.names", shown(pattern), "a pattern that some bundled name or file fits")
    return found
