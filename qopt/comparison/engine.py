"""A study is run: chunks of solves go out by joblib, and results come back into the journal as they are done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from qopt.comparison.design import Design
from qopt.comparison.journal import Journal, lines
from qopt.comparison.tasks import Source, Tasks, fingerprint
from qopt.comparison.worker import Group, Terms, end_all, owner, work
from qopt.core.arguments import is_whole, whole
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.shard import Shard

TARGET = 1.0
"""Seconds that a chunk takes, about: long beside its way there and back, short beside what a kill may cost."""

LARGEST = 2000
"""Results in a chunk, at most."""

ATTEMPTS = 5
"""Times in a row that workers may die before any result comes back."""


def run(
    study: Design,
    path: str | os.PathLike[str],
    jobs: int | None,
    shard: tuple[int, int] | None,
    resume: bool,
    imports: tuple[str, ...],
    progress: Callable[[dict[str, Any]], None] | None,
    chunk: int | None,
) -> int:
    """See `Study.run`."""
    share = None if shard is None else Shard.checked(shard)
    if chunk is not None:
        whole("chunk", chunk, 1, LARGEST)
    if jobs is not None and not (is_whole(jobs) and jobs != 0):
        raise InputError("jobs", shown(jobs), "a whole number >= 1, or -1 for every core")
    _import(imports)
    tasks = Tasks(study, share)
    tasks.check()
    if not resume and os.path.exists(path) and os.path.getsize(path):
        raise InputError(os.fspath(path), "a journal that was begun", "--resume to go on with it, or a new path")
    terms = Terms(study.time_limit, study.grace, study.threads, imports, owner())
    with Journal(path, head_of(study, share)) as journal:
        done, machines = _held(path, tasks)
        return _Running(tasks, terms, journal, done, machines, progress, chunk).all(jobs)


def head_of(study: Design, shard: Shard | None) -> dict[str, Any]:
    """What the first line of a study's journal says."""
    data = study.model_dump(mode="json", exclude_none=True)
    share = None if shard is None else str(shard)
    return {"fingerprint": study.fingerprint, "name": study.name, "shard": share, "study": data}


def _import(modules: tuple[str, ...]) -> None:
    """Import modules here too: runs are checked against the methods that they register."""
    import importlib

    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise InputError("imports", f"{shown(module)} ({error})", "modules that can be imported") from None


def _held(path: str | os.PathLike[str], tasks: Tasks) -> tuple[set[int], set[str]]:
    """Keys of the results that a journal holds, and ids of machines; refuses it where an instance has changed."""
    done: set[int] = set()
    machines: set[str] = set()
    now: dict[str, set[str]] = {}
    for source in tasks.sources():
        if source.kind != "generate":
            now.setdefault(source.name, set()).add(source.fingerprint)
    drawn = {source.identity: source for source in _first_drawn(tasks)}
    for line in lines(path):
        machines |= line.get("machines", {}).keys()
        if "key" not in line:
            continue
        done.add(int(line["key"], 16))
        name, content = line["instance"], line["fingerprint"]
        first = drawn.pop(line.get("drawn", ""), None)
        allowed = now.get(name, {content}) if first is None else {fingerprint(first.problem())}
        if content and content not in allowed:
            raise InputError(
                os.fspath(path), f"results of another {shown(name)}", "the instance as it was, or a new path"
            )
    return done, machines


def _first_drawn(tasks: Tasks) -> Iterator[Source]:
    """The first instance of each generator: whether it still draws the same is seen by it."""
    before: Any = None
    for entry in tasks.study.instances:
        if entry.generate is not None and entry.size and entry.seeds:
            before = [entry.generate, entry.size[0], next(iter(entry.seeds)), entry.options]
            yield Source("generate", before, entry.generate)


class _Running:
    """A study on its way: what is done, and how long solves take."""

    def __init__(
        self,
        tasks: Tasks,
        terms: Terms,
        journal: Journal,
        done: set[int],
        machines: set[str],
        progress: Callable[[dict[str, Any]], None] | None,
        chunk: int | None,
    ) -> None:
        self.tasks, self.terms, self.journal = tasks, terms, journal
        self.done, self.machines = done, machines
        self.progress, self.chunk = progress, chunk
        self.added = 0
        self.size = 1 if chunk is None else chunk

    def all(self, jobs: int | None) -> int:
        """Run what is not done yet; workers that die are replaced."""
        import joblib
        from joblib.externals.loky.process_executor import BrokenProcessPool

        failures = 0
        try:
            while True:
                before = self.added
                try:
                    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
                    for back in parallel(joblib.delayed(work)(groups, self.terms) for groups in self.chunks()):
                        self.keep(back)
                    return self.added
                except BrokenProcessPool:
                    failures = failures + 1 if self.added == before else 1
                    if failures >= ATTEMPTS:
                        raise MethodError(f"workers died {failures} times; what they solved is kept") from None
        finally:
            end_all()

    def chunks(self) -> Iterator[list[Group]]:
        """What is not done yet, as much at a time as takes about a second."""
        groups: list[Group] = []
        count = 0
        sent: set[int] = set()
        for task in self.tasks:
            key = int(task.key, 16)
            if key in self.done or key in sent:
                continue
            sent.add(key)
            if not groups or groups[-1].source is not task.source:
                groups.append(Group(task.source, []))
            groups[-1].tasks.append(task)
            count += 1
            if count >= self.size:
                yield groups
                groups, count = [], 0
        if groups:
            yield groups

    def keep(self, back: dict[str, Any]) -> None:
        """Write what a chunk came to."""
        new: list[dict[str, Any]] = []
        unknown = {name: data for name, data in back["machines"].items() if name not in self.machines}
        if unknown:
            new.append({"machines": unknown})
            self.machines |= unknown.keys()
        rows = [row for row in back["rows"] if int(row["key"], 16) not in self.done]
        self.journal.append([*new, *rows])
        self.done |= {int(row["key"], 16) for row in rows}
        self.added += len(rows)
        if self.chunk is None and back["rows"]:
            each = max(back["took"] / len(back["rows"]), 1e-4)
            self.size = max(1, min(int(TARGET / each), 2 * self.size, LARGEST))
        if self.progress:
            for row in rows:
                self.progress(row)
