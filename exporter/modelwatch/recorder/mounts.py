"""On what kind of file system a folder is, for those on which several hosts or kernels would share one file."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["remote_kind"]

MOUNTS = Path("/proc/self/mountinfo")
REMOTE = re.compile(
    r"nfs4?|cifs|smb[23]?|9p|virtiofs|afs|ceph|lustre|gfs2|ocfs2|fuse\.(sshfs|glusterfs|grpcfuse)|vboxsf"
)
"""Locks or what is read may be another kernel's, and workers of several hosts would add up in each host's metrics."""
_ESCAPED = re.compile(r"\\([0-7]{3})")


def remote_kind(folder: Path, mounts: Path | None = None) -> str | None:
    """
    Return the type of the file system of a folder if it isn't local; None if it is, or if nobody can tell.

    Parameters
    ----------
    folder
        Any folder.
    mounts
        A table of mounted file systems as in proc_pid_mountinfo(5); without it the kernel's.
    """
    try:
        lines = (mounts or MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, best, kind = Path(os.path.realpath(folder)), -1, ""
    for line in lines:
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        mounted = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        depth = len(mounted.parts)
        if depth >= best and (mounted == place or mounted in place.parents):
            best, kind = depth, after.split(" ")[0]  # of several at one place the last hides the others
    return kind if REMOTE.fullmatch(kind) else None
