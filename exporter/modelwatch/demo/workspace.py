"""The one folder that the demo writes to."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from modelwatch.exceptions import InputError

__all__ = ["DEFAULT_FOLDER", "Workspace"]

DEFAULT_FOLDER = Path(".demo")
_MARK = ".modelwatch-demo"


class Workspace:
    """A folder of the demo's own, locked while it runs and swept of the last run's storage.

    Parameters
    ----------
    folder : Path, optional
        Where; by default ``.demo`` here, or a new temporary folder if nothing can be written here.

    Raises
    ------
    InputError
        The folder cannot be written to, holds something else, or another demo is running in it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self._lock = _claim(folder)
        self.flights = self.folder / "flights.npz"
        self.profile = self.folder / "profile.json"
        self.config = self.folder / "models.yaml"
        self.slack_url = self.folder / "slack_url"
        self.storage = self.folder / "storage"
        self.prometheus = self.folder / "prometheus"
        for last in (self.storage, self.prometheus):
            shutil.rmtree(last, ignore_errors=True)

    @property
    def shown(self) -> Path:
        """The folder as one would type it from here."""
        here = Path.cwd()
        return self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder

    def show(self, path: Path) -> str:
        """Return a path inside the folder as one would type it from here."""
        return str(self.shown / path.relative_to(self.folder))

    def write_secret(self, path: Path, text: str) -> None:
        """Write a file that only its owner can read."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def close(self) -> None:
        """Unlock the folder; idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _claim(wanted: Path | None) -> tuple[Path, int]:
    if wanted is not None:
        try:
            return _open(wanted)
        except OSError as error:
            msg = f"the demo can't write to {wanted}: {error.strerror or error}; name another place with --folder"
            raise InputError(msg) from error
    try:
        return _open(DEFAULT_FOLDER)
    except OSError:
        return _open(Path(tempfile.mkdtemp(prefix="modelwatch-demo-")))


def _open(folder: Path) -> tuple[Path, int]:
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    # Its storage is deleted at each start, so it must be certain that the folder is the demo's.
    if not mark.exists() and any(folder.iterdir()):
        msg = f"{folder} holds files that are not the demo's; name an empty or a new folder with --folder"
        raise InputError(msg)
    lock = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whatever repository this is in, nobody wants to commit it.
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except BlockingIOError as error:
        os.close(lock)
        msg = f"another demo is running in {folder}; stop it, or name another folder with --folder"
        raise InputError(msg) from error
    except OSError:
        os.close(lock)
        raise
    return folder.resolve(), lock
