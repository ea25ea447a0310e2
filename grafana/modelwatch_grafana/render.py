"""Dashboards as files: the same text on every machine, and all of them or none."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from modelwatch.exceptions import InputError
from modelwatch_grafana.dashboards import DASHBOARDS
from modelwatch_grafana.elements import Json

__all__ = ["dashboard_text", "write_dashboards"]

FILE_MODE = 0o644


def dashboard_text(dashboard: Json) -> str:
    """Return a dashboard as JSON text, keys in the order of the builders, with a newline at its end."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def write_dashboards(out: str | Path) -> list[Path]:
    """
    Write all dashboards into a folder, which is made if it does not exist.

    Every file is written beside its place first and put there once all are: a reader, such as a Grafana that watches
    the folder, never sees half a file.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If the folder can't be written to.
    """
    folder = Path(out)
    texts = {folder / name: dashboard_text(build()) for name, build in DASHBOARDS.items()}
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in texts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            temporary[path].write_text(text, encoding="utf-8")
            # Grafana runs as somebody else, whatever the umask here.
            temporary[path].chmod(FILE_MODE)
        for path in texts:
            os.replace(temporary[path], path)
    except OSError as error:
        for leftover in temporary.values():
            with contextlib.suppress(OSError):
                leftover.unlink()
        msg = f"can't write dashboards to {folder}: {error.strerror or error}"
        raise InputError(msg) from error
    return list(texts)
