"""``modelwatch sidecar``: score what applications record, expose the results, tell who has to know."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_parser"]

_LISTEN = "127.0.0.1:9877"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "sidecar",
        help="score, export, notify: beside your applications",
        description="Watch a storage folder: score what applications record there on schedule, expose the results for "
        "Prometheus, and tell who has to know. Models are found by themselves; a configuration file is optional.",
        epilog="SIGHUP reads the configuration again. Exit codes: 0 stopped, 2 it could not start.",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="JSON or YAML (default: $MODELWATCH_CONFIG, then ./models.yaml)"
    )
    parser.add_argument(
        "--storage",
        metavar="DIR",
        help="the folder that applications record to (default: $MODELWATCH_STORAGE, then as in the applications)",
    )
    parser.add_argument(
        "--listen", default=_LISTEN, metavar="HOST:PORT", help=f"where to serve HTTP (default {_LISTEN}; port 0: any)"
    )
    parser.add_argument(
        "--expose-recordings",
        action="store_true",
        help="expose what was recorded too, where applications serve no metrics (batch jobs); never both",
    )
    parser.add_argument(
        "--web.enable-lifecycle", dest="enable_lifecycle", action="store_true", help="allow POST /-/reload"
    )
    parser.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    from modelwatch.sidecar.run import run
    from modelwatch.sidecar.settings import Settings, parse_listen

    host, port = parse_listen(args.listen)
    return run(
        Settings(
            config_path=args.config,
            storage=args.storage,
            host=host,
            port=port,
            expose_recordings=args.expose_recordings,
            enable_lifecycle=args.enable_lifecycle,
        )
    )
