"""Dashboards as files: the same text on every machine, and all of them or none."""

from __future__ import annotations

import json
import os
import tempfile
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
    written: dict[Path, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            written[path] = _write_beside(path, text)
        for path, temporary in written.items():
            os.replace(temporary, path)
    except OSError as error:
        msg = f"can't write dashboards to {folder}: {error.strerror or error}"
        raise InputError(msg) from error
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
    return list(texts)


def _write_beside(path: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        # mkstemp makes files for their owner only; Grafana runs as somebody else.
        os.fchmod(file.fileno(), FILE_MODE)
    return Path(name)
