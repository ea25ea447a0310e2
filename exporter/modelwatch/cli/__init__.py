"""The ``modelwatch`` command."""

from modelwatch.cli.main import main

__all__ = ["main"]
