"""Files that are whole at every moment."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def reason(error: Exception) -> str:
    """Return why a file could not be read or written."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else f"it is no text in UTF-8 ({error})"


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file that at every moment is the old one or the new one, never half of it."""
    # Not by tempfile, which lets nobody else read: whoever may read the model beside it needs the profile as well.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
