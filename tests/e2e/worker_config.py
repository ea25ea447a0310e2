"""gunicorn's settings where the application is loaded once, before the workers are forked from it."""

from __future__ import annotations

import os

from modelwatch import start_metrics_server

preload_app = True


def post_fork(server: object, worker: object) -> None:
    start_metrics_server(int(os.environ["FORKED_PORT"]))
