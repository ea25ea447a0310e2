"""How far reading a file has come, for whoever sits before a terminal; silence for anybody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from modelwatch.profile.files import BATCH_ROWS, TableFile

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["watched", "working"]


class _Watched:
    """A table in a file, of which each reading moves a bar."""

    def __init__(self, file: TableFile, progress: Progress) -> None:
        self._file, self._progress = file, progress
        self._rows = file.rows
        self._readings = 0

    def batches(self, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS) -> Iterator[Any]:
        """Yield the rows of some columns, in pieces."""
        self._readings += 1
        task = self._progress.add_task(f"{self._file.path.name}, reading {self._readings}", total=self._rows)
        count = 0
        try:
            for table in self._file.batches(columns, rows):
                yield table
                count += len(table)
                self._progress.update(task, completed=count)
            self._rows = count
        finally:
            self._progress.remove_task(task)


@contextmanager
def watched(file: TableFile, stream: TextIO | None = None) -> Iterator[TableFile | _Watched]:
    """Show a progress bar while a file is read, on a terminal only.

    Parameters
    ----------
    file : TableFile
        The file.
    stream : TextIO, optional
        Where; standard error if not given, so that what is piped stays clean.

    Yields
    ------
    TableFile or another table in pieces
        To be read instead.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield file
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    shown = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(show_speed=True), TimeRemainingColumn()
    with Progress(*shown, console=Console(file=stream), transient=True) as progress:
        yield _Watched(file, progress)


@contextmanager
def working(words: str, stream: TextIO | None = None) -> Iterator[None]:
    """Say what is being done for as long as it takes, on a terminal only.

    Parameters
    ----------
    words : str
        What it is.
    stream : TextIO, optional
        Where; standard error if not given.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield
        return
    from rich.console import Console

    with Console(file=stream).status(words):
        yield
