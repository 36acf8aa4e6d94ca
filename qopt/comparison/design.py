"""What a study asks: which instances, which runs, how often; a small file, or a Python object.

name = "requests"
time_limit = 10
repeats = 2

[[instances]]
names = ["qpart/*", "mine/*.json"]

[[instances]]
generate = "qpart"
size = 8
seeds = {first = 0, count = 10000}
options = {noise = "grid"}

[[runs]]
method = ["mckp", "round-up"]

[[runs]]
method = "pyomo"
formulation = ["one-hot", "big-m"]
solver = "highs"
seed = 1
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tomllib
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from qopt.core.errors import InputError, shown
from qopt.core.families import FAMILIES
from qopt.core.problem import Frozen, Positive, Problem
from qopt.core.reading import MAX_BYTES, read_json

MAX_COUNT = 10_000_000
"""Seeds of one generator."""

Words = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
Sizes = Annotated[
    tuple[Annotated[int, Field(ge=1, strict=True)], ...],
    BeforeValidator(lambda value: value if isinstance(value, list | tuple) else (value,)),
]


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Options as JSON has them, so that a study made in Python is the one read from a file."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise InputError("options", shown(value), "texts, finite numbers, true, false and lists of them") from None
    return plain


class SeedRange(Frozen):
    """So many seeds from a first one on.

    Attributes
    ----------
    first : the first seed.
    count : how many.
    """

    first: Count = 0
    count: Annotated[int, Field(ge=1, le=MAX_COUNT, strict=True)]

    def __iter__(self) -> Any:
        return iter(range(self.first, self.first + self.count))

    def __len__(self) -> int:
        return self.count


class Instances(Frozen):
    """Instances of a study: by names, by a generator, or one problem itself. One of the three.

    Attributes
    ----------
    names : bundled names, paths, and patterns of either with ``*``, ``?`` and ``[...]``; each gives at least one.
    generate : name of a function of `qopt.generate`, such as ``qpart``.
    size : its first argument, one or a list of them.
    seeds : a list of seeds, or ``{first, count}``; each gives an instance of each size.
    options : its keywords.
    problem : a problem as plain data.
    """

    names: Words | None = None
    generate: str | None = None
    size: Sizes | None = None
    seeds: SeedRange | tuple[Count, ...] | None = None
    options: Annotated[dict[str, Any], AfterValidator(_plain)] = Field(default_factory=dict)
    problem: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("names", "generate", "problem") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError("", " and ".join(given) or "none of them", "one of names, generate and problem")
        if self.generate is None:
            for name in ("size", "seeds", "options"):
                if name in self.model_fields_set:
                    raise InputError(name, f"{name} without generate", "a generator's name in generate")
            if self.names is not None and not self.names:
                raise InputError("names", "none", "at least one")
            return self
        known = [family.name for family in FAMILIES.values() if family.generate]
        if self.generate not in known:
            raise InputError("generate", shown(self.generate), ", ".join(known))
        for name in ("size", "seeds"):
            if not getattr(self, name):
                raise InputError(name, "nothing", "what the generator needs")
        return self


class Run(Frozen):
    """Settings of a run; each list gives a run for every entry, and lists multiply out.

    Attributes
    ----------
    method : names, ``auto``, or ``all``: every method of a family that takes the other settings. A run is for the
        instances whose family has the method and the choices made here, at least one.
    formulation, solver : names, for methods that offer a choice.
    threads : of the solver; by default the study's for a method that takes it.
    seed : of the solver in the first repeat; repeat r has ``seed + r``.
    gap : relative gap allowed, for methods with such a guarantee.
    label : what the run is called in tables; by default method, formulation, solver and what else is set.
    """

    method: Words
    formulation: Words | None = None
    solver: Words | None = None
    threads: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = None
    seed: Count | None = None
    gap: Positive | None = None
    label: Annotated[str, Field(min_length=1, max_length=60)] | None = None

    @model_validator(mode="after")
    def _single_label(self) -> Self:
        for name in ("method", "formulation", "solver"):
            if getattr(self, name) is not None and not getattr(self, name):
                raise InputError(name, "an empty list", "at least one name")
        if self.label is not None and (len(self.single()) > 1 or self.method == ("all",)):
            raise InputError("label", shown(self.label), "nothing where lists give several runs")
        return self

    def single(self) -> list[Setting]:
        """The runs that the lists give, one setting each."""
        axes = (self.method, self.formulation or (None,), self.solver or (None,))
        return [
            Setting(method=m, formulation=f, solver=s, threads=self.threads, seed=self.seed, gap=self.gap)
            for m, f, s in itertools.product(*axes)
        ]


class Setting(Frozen):
    """One run: a method and its options.

    Attributes
    ----------
    method, formulation, solver, threads, seed, gap : as `qopt.solve` takes them; None for the default.
    """

    method: str
    formulation: str | None = None
    solver: str | None = None
    threads: int | None = None
    seed: int | None = None
    gap: float | None = None

    @property
    def label(self) -> str:
        """Method, formulation and solver, and what else is set: the name of the run in tables."""
        parts = [self.method, *filter(None, (self.formulation, self.solver))]
        for name, sign in (("threads", "threads="), ("seed", "seed="), ("gap", "gap=")):
            if getattr(self, name) is not None:
                parts.append(f"{sign}{getattr(self, name):g}")
        return "/".join(parts)


def _as_instances(value: object) -> object:
    """Names, paths and problems in a list of instances, as the entries that they stand for."""
    if not isinstance(value, list | tuple):
        return value
    entries: list[object] = []
    for entry in value:
        if isinstance(entry, str | os.PathLike):
            entry = {"names": (os.fspath(entry),)}
        elif isinstance(entry, Problem):
            from qopt.core.reading import to_json

            entry = {"problem": json.loads(to_json(entry))}
        entries.append(entry)
    return tuple(entries)


def _as_runs(value: object) -> object:
    """Names of methods in a list of runs, as the entries that they stand for."""
    if not isinstance(value, list | tuple):
        return value
    return tuple({"method": entry} if isinstance(entry, str) else entry for entry in value)


class Design(Frozen):
    """What a study asks: instances x runs x repeats.

    Attributes
    ----------
    name : of the study.
    instances : a list of entries, see `Instances`; in Python also names, paths and problems.
    runs : a list of entries, see `Run`; in Python also names of methods. Default: every method of each family.
    repeats : how often each is solved, at least once.
    time_limit : seconds of a solve, plan and proof together, for every method: those that take no limit are ended.
    grace : seconds beyond the limit after which a solve is ended by force.
    threads : of each solve: of solvers that take a number, and of numpy's libraries.
    """

    format: Literal["qopt/study"] = "qopt/study"
    version: Literal[1] = 1
    name: str = "study"
    instances: Annotated[tuple[Instances, ...], BeforeValidator(_as_instances), Field(min_length=1)]
    runs: Annotated[tuple[Run, ...], BeforeValidator(_as_runs), Field(min_length=1)] = (Run(method=("all",)),)
    repeats: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 1
    time_limit: Positive | None = None
    grace: Positive = 5.0
    threads: Annotated[int, Field(ge=1, le=1024, strict=True)] = 1

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The study of a file: TOML, or JSON where its name ends with ``.json``.

        Parameters
        ----------
        path : of the file. Names of instance files in it are relative to the working directory.

        Raises
        ------
        InputError
            It cannot be read, is neither, or has a field that is not as it should be or not known.
        """
        text = os.fspath(path)
        data = read_json(text) if text.endswith(".json") else _read_toml(text)
        if not isinstance(data, dict):
            raise InputError(text, shown(data), "an object with instances and runs")
        return cls(**data)

    @property
    def fingerprint(self) -> str:
        """16 hex digits of what the study asks; its name and `grace` do not count."""
        data = self.model_dump(mode="json", exclude={"name", "grace"}, exclude_none=True)
        return digest(data)


def digest(data: object) -> str:
    """16 hex digits of plain data, whatever the order of its fields."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_toml(name: str) -> dict[str, Any]:
    """A TOML file of bounded size; what is wrong with it is one line."""
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), "a readable study file") from None
    if len(data) > MAX_BYTES:
        raise InputError(name, f"more than {MAX_BYTES // 2**20} MiB", f"at most {MAX_BYTES // 2**20} MiB")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(name, f"byte {error.start} that is not UTF-8", "TOML text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(name, f"no TOML ({error})", "a TOML file") from None
    except (RecursionError, ValueError) as error:
        raise InputError(name, shown(str(error)), "a TOML file of ordinary nesting and numbers") from None
