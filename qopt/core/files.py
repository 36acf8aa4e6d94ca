"""Writing files and folders: a whole one, or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from qopt.core.errors import InputError


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a new file beside the target, which takes its place when complete.

    A symbolic link is followed; a device or a pipe is written to as it is.

    Raises
    ------
    InputError
        The path cannot be written.
    """
    name = os.fspath(path)
    partial = None
    try:
        if not name:
            raise ValueError
        target = Path(os.path.realpath(name))
        if target.exists() and not target.is_file() and not target.is_dir():
            with open(target, "wb") as file:
                write(file)
            return
        if target.is_dir():
            raise IsADirectoryError(21, "a directory")
        descriptor, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with open(descriptor, "wb") as file:
            write(file)
        os.chmod(partial, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        os.replace(partial, target)
        partial = None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no name of a file"
        raise InputError(name or "path", why.lower(), "a path that can be written") from None
    finally:
        if partial:
            with contextlib.suppress(OSError):
                os.unlink(partial)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; see `write_whole`."""
    write_whole(path, lambda file: file.write(text.encode()))


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder beside the target to be filled, which takes its place when the block ends without an error.

    Raises
    ------
    InputError
        The folder cannot be written, or is there already and not empty.
    """
    target = Path(os.path.abspath(path))
    temporary = None
    try:
        temporary = tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
        yield Path(temporary)
        os.chmod(temporary, 0o777 & ~_umask())
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        why = (error.strerror or "cannot be written").lower()
        raise InputError(os.fspath(path), why, "a folder that can be written") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
