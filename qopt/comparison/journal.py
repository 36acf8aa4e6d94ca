"""The journal of a study: a file of JSON lines that is only ever appended to.

The first line says whose journal it is; each other is a result, or a machine that results name. A line is written whole
by one call and is on the disk before the next is, so a kill leaves at most a last line that is torn: it is dropped when
the journal is opened again, and its solve is done again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qopt.core.errors import InputError, MethodError, shown

Rows = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A journal, or several: their paths."""

FORMAT = "qopt/journal"


def listed(journals: Rows) -> list[str]:
    """Paths of journals, one or several."""
    paths = [journals] if isinstance(journals, str | os.PathLike) else list(journals)
    if not paths:
        raise InputError("journals", "none", "at least one")
    return [os.fspath(path) for path in paths]


def encoded(line: dict[str, Any]) -> bytes:
    """A line of a journal."""
    return (json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n").encode()


def lines(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Lines of a journal, the head first; one at its end that is torn is left out.

    Raises
    ------
    InputError
        It cannot be read, is no journal, or has a broken line before its last.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    if number == 1:
                        raise InputError(name, "no whole line", "a journal of a study")
                    return
                yield _line(name, number, raw)
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), "a readable journal") from None


def _line(name: str, number: int, raw: bytes) -> dict[str, Any]:
    """One line, checked for what every line of its place has."""
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        line = None
    if number == 1 and not (isinstance(line, dict) and line.get("format") == FORMAT and line.get("version") == 1):
        raise InputError(name, "a file of another kind", "a journal of a study, or a path where there is no file yet")
    if not isinstance(line, dict) or not ({"key", "machines", "format"} & line.keys()):
        raise InputError(f"{name}, line {number}", "a broken line", "a result of a study")
    return line


def head(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The first line of a journal: study, shard. Errors as `lines`."""
    first = next(lines(path), None)
    if first is None:
        raise InputError(os.fspath(path), "an empty file", "a journal of a study")
    return first


def of_study(path: str | os.PathLike[str], fingerprint: str) -> None:
    """Refuse the journal of another study."""
    if head(path).get("fingerprint") != fingerprint:
        raise InputError(os.fspath(path), "the journal of another study", f"one of the study {fingerprint}")


def results(path: str | os.PathLike[str], fingerprint: str | None = None) -> Iterator[dict[str, Any]]:
    """Results of a journal. Errors as `lines`, and for another study where its `fingerprint` is given."""
    if fingerprint is not None:
        of_study(path, fingerprint)
    return (line for line in lines(path) if "key" in line)


class Journal:
    """A journal that is written to; one process at a time.

    Parameters
    ----------
    path : of the file, made where there is none.
    first : what its head says: fingerprint, name and data of the study, and the shard.

    Raises
    ------
    InputError
        It is another study's or another shard's, broken, or cannot be written. MethodError where another process
        writes to it.
    """

    def __init__(self, path: str | os.PathLike[str], first: dict[str, Any]) -> None:
        self.path = os.fspath(path)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except (OSError, ValueError) as error:
            why = (getattr(error, "strerror", None) or "no name of a file").lower()
            raise InputError(self.path or "journal", why, "a path that can be written") from None
        try:
            self._lock()
            self._mend()
            if os.fstat(self._file).st_size == 0:
                self.append([{"format": FORMAT, "version": 1, **first}])
            found = head(self.path)
            if found.get("fingerprint") != first["fingerprint"]:
                raise InputError(self.path, "the journal of another study", "one of this study, or a new path")
            if found.get("shard") != first.get("shard"):
                share = found.get("shard")
                what = "the whole study's journal" if share is None else f"the journal of shard {share}"
                raise InputError(self.path, what, f"one of shard {first.get('shard') or 'none'}, or a new path")
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        """Keep other processes out, for as long as this one has the file open: a kill lets go of it."""
        try:
            import fcntl
        except ImportError:  # no such locks on this system
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MethodError(f"{self.path}: another process writes to this journal") from None

    def _mend(self) -> None:
        """Drop a last line that is torn."""
        size = os.fstat(self._file).st_size
        end = size
        while end > 0:
            begin = max(end - 65536, 0)
            found = os.pread(self._file, end - begin, begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end == 0 and size:
            start = os.pread(self._file, 32, 0)
            if not b'{"format":"qopt/journal",'.startswith(start[:25]):
                raise InputError(self.path, "a file of another kind", "a journal of a study, or a new path")
        if end < size:
            os.ftruncate(self._file, end)

    def append(self, new: Sequence[dict[str, Any]]) -> None:
        """Write lines at the end by one call, and wait until they are on the disk.

        Raises
        ------
        InputError
            The disk is full, say; what was written of the lines is taken back.
        """
        data = b"".join(map(encoded, new))
        if not data:
            return
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
            if written < len(data):
                raise OSError(28, os.strerror(28))
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):  # a device has no length
                os.ftruncate(self._file, before)
            why = (error.strerror or "cannot be written").lower()
            raise InputError(self.path, why, "a disk that takes the results") from None

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def merge(journals: Rows, target: str | os.PathLike[str], first: dict[str, Any]) -> int:
    """Put the results of several journals into one, each once.

    Parameters
    ----------
    journals : paths, of shards of one study.
    target : path of the journal that takes them; what it holds already stays.
    first : its head, for a new one.

    Returns
    -------
    How many results were added.

    Raises
    ------
    InputError
        A journal is another study's or broken, or two hold unlike instances of one name.
    """
    paths = [path for path in listed(journals) if not _same(path, target)]
    for path in paths:
        of_study(path, first["fingerprint"])
    added = 0
    with Journal(target, first) as journal:
        held: set[str] = set()
        content: dict[int, str] = {}
        machines: set[str] = set()
        for path in [os.fspath(target), *paths]:
            new: list[dict[str, Any]] = []
            for line in lines(path):
                if "machines" in line:
                    if not line["machines"].keys() <= machines and path != os.fspath(target):
                        new.append(line)
                    machines |= line["machines"].keys()
                if "key" not in line:
                    continue
                asked = line["fingerprint"] and content.setdefault(line["at"][0], line["fingerprint"])
                if asked != line["fingerprint"]:
                    name = shown(line["instance"])
                    raise InputError(os.fspath(path), f"{name} unlike that of another journal", "one instance a name")
                if line["key"] not in held:
                    held.add(line["key"])
                    if path != os.fspath(target):
                        new.append(line)
                        added += 1
                if len(new) >= 1000:
                    journal.append(new)
                    new = []
            journal.append(new)
    return added


def _same(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    return Path(path).resolve() == Path(other).resolve()
