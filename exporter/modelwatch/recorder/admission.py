"""Which names become label values: the first so many of each kind, agreed on by all workers of a storage folder.

Each worker alone could count to a limit, but a scrape shows the union of all. So names are written down in one file,
``<storage>/slots/.names``, a line of JSON each, to which a worker adds under the file's lock. A name that was admitted
stays so, which its series rely on: a name never moves from a series of its own to that of all others. Names are asked
for once each until a kind is full, and then never again: a million different values cost no look at the file.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelwatch.conventions import OTHER
from modelwatch.recorder.blocks import Key
from modelwatch.recorder.locks import HAVE_LOCKS, locked

__all__ = ["FILE_NAME", "Admission", "AdmittedNames"]

FILE_NAME = ".names"
FILE_MODE, FOLDER_MODE = 0o660, 0o770
LOCK_PATIENCE_SECONDS = 0.2
"""The lock is held for a moment only, unless its holder is stopped."""
ALWAYS = frozenset({"", OTHER})
"""Names that need no admission: nothing is known, and all others."""

HEADER_LENGTH = len('{"names": "0123456789abcdef"}\n')
"""The first line is random, so that a file that was removed and made again is known for another one."""

Names = dict[Key, dict[str, None]]


class Admission:
    """
    One worker's view of the names that are admitted. Used by one thread at a time.

    Where the file can't be had (no locks, a full disk) names are admitted for this process, and written down later.

    Parameters
    ----------
    path
        The file; None to admit for this process only.

    >>> admission = Admission(None)
    >>> admission.shown(("classes", "m"), ["a", "b", "c"], 2)
    {'a': 'a', 'b': 'b', 'c': '__other__'}
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._names: Names = {}
        self._unwritten: list[Key] = []
        self._read_to = (b"", 0)
        """First line of the file, and how many of its bytes were read."""

    def shown(self, kind: Key, names: Collection[str], limit: int) -> dict[str, str]:
        """Return under which label value each name is counted: as itself if it is one of the first `limit`."""
        known = self._names.setdefault(kind, {})
        if len(known) < limit:
            fresh = [name for name in names if name not in known and name not in ALWAYS]
            if fresh:
                self._admit(kind, fresh, limit)
        known = self._names[kind]
        return {name: name if name in known or name in ALWAYS else OTHER for name in names}

    def of(self, kind: Key) -> tuple[str, ...]:
        """Return the names admitted so far, as far as this worker knows, in order of admission."""
        return tuple(self._names.get(kind, ()))

    def _admit(self, kind: Key, fresh: list[str], limit: int) -> None:
        try:
            with self._opened() as fd:
                self._catch_up(fd)
                known = self._names.setdefault(kind, {})
                taken = [name for name in fresh if name not in known][: max(0, limit - len(known))]
                lines = [*self._unwritten, *((*kind, name) for name in taken)]
                if lines:
                    _write(fd, b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines))
                self._unwritten = []
        except OSError:
            known = self._names.setdefault(kind, {})
            taken = [name for name in fresh if name not in known][: max(0, limit - len(known))]
            if self._path is not None:
                self._unwritten += [(*kind, name) for name in taken]
        known.update(dict.fromkeys(taken))

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the file and hold its lock."""
        if self._path is None or not HAVE_LOCKS:
            raise OSError(errno.ENOTSUP, "names are admitted by this process alone")
        self._path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        fd = os.open(self._path, flags, FILE_MODE)
        try:
            with locked(fd, LOCK_PATIENCE_SECONDS):
                yield fd
        finally:
            os.close(fd)

    def _catch_up(self, fd: int) -> None:
        """Read what others have added; if the file is another one, what is missing in it is to be written again."""
        first, done = self._read_to
        text = os.pread(fd, HEADER_LENGTH, 0)
        if not text:
            text = json.dumps({"names": secrets.token_hex(8)}).encode() + b"\n"
            _write(fd, text)
        names, unwritten = self._names, self._unwritten
        if text != first:
            unwritten = [(*kind, name) for kind, known in names.items() for name in known]
            names, done = {}, 0
        first, text = text, _read_from(fd, done)
        whole = text.rfind(b"\n") + 1
        for kind, name in _parsed(text[:whole]):
            names.setdefault(kind, {})[name] = None
        self._unwritten = [key for key in unwritten if key[-1] not in names.get(key[:-1], ())]
        for key in self._unwritten:
            names.setdefault(key[:-1], {})[key[-1]] = None
        self._names = names
        if whole < len(text):
            # A writer was killed within a line; what is added must not go on with it.
            _write(fd, b"\n")
            whole = len(text) + 1
        self._read_to = (first, done + whole)


class AdmittedNames:
    """
    What is written down in the file, for readers; from any thread, without its lock.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[tuple[int, ...], Names] = ((), {})

    def of(self, kind: Key) -> tuple[str, ...]:
        """Return the names admitted, in order of admission; none where there is no file, or it can't be read."""
        return tuple(self._read().get(kind, ()))

    def _read(self) -> Names:
        try:
            about = os.stat(self._path, follow_symlinks=False)
            known, names = self._known
            mark = (about.st_ino, about.st_size, about.st_mtime_ns)
            if mark != known:
                text = self._path.read_bytes()
                names = {}
                for kind, name in _parsed(text[: text.rfind(b"\n") + 1]):
                    names.setdefault(kind, {})[name] = None
                self._known = (mark, names)
        except OSError:
            return {}
        return names


def _parsed(text: bytes) -> Iterable[tuple[Key, str]]:
    """Yield kind and name of each line that is one; half a line of a killed writer is none."""
    for line in text.splitlines():
        try:
            parts = json.loads(line)
        except ValueError:
            continue
        if isinstance(parts, list) and len(parts) > 1 and all(isinstance(part, str) for part in parts):
            yield tuple(parts[:-1]), parts[-1]


def _read_from(fd: int, offset: int) -> bytes:
    parts = []
    while part := os.pread(fd, 1 << 16, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _write(fd: int, data: bytes) -> None:
    if os.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, "short write: the disk is full")
