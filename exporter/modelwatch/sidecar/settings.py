"""How a sidecar was started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelwatch.conventions import DEFAULT_SIDECAR_PORT
from modelwatch.exceptions import InputError
from modelwatch.service.upkeep import FIRST_SECONDS

__all__ = ["Settings", "parse_listen"]


@dataclass(frozen=True)
class Settings:
    """
    What the command line says, and the times that tests shorten.

    Attributes
    ----------
    config_path : Path or None
        The configuration file; None looks where every command does, at each reload anew.
    storage : str or None
        The storage folder; None for the default.
    host, port : str, int
        Where to listen; port 0 for any free one.
    expose_recordings : bool
        Expose what was recorded too, for applications that serve no endpoint.
    enable_lifecycle : bool
        Allow ``POST /-/reload``.
    refresh_seconds : float
        How often to look for new models.
    lease_seconds : float
        After how long without renewal another process may take over.
    operational_seconds : float
        How often latency, errors and silence are looked at.
    cleanup_seconds : float
        How long after the start the first cleanup is due.
    stop_seconds : float
        How long a check under way may take to end when the sidecar stops.
    """

    config_path: Path | None = None
    storage: str | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_SIDECAR_PORT
    expose_recordings: bool = False
    enable_lifecycle: bool = False
    refresh_seconds: float = 3.0
    lease_seconds: float = 30.0
    operational_seconds: float = 60.0
    cleanup_seconds: float = FIRST_SECONDS
    stop_seconds: float = 5.0


def parse_listen(text: str) -> tuple[str, int]:
    """
    Return host and port of an address to listen on.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> parse_listen("127.0.0.1:9877"), parse_listen("[::1]:0"), parse_listen(":9877")
    (('127.0.0.1', 9877), ('::1', 0), ('0.0.0.0', 9877))
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    plain = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not colon or not plain or (":" in host and bare == host) or any(c.isspace() for c in host):
        raise InputError(
            f"an address to listen on is host:port, such as 127.0.0.1:{DEFAULT_SIDECAR_PORT}, got {text!r}"
        )
    return bare or "0.0.0.0", int(port)  # noqa: S104 - who leaves out the host means all of them
