"""Draw docs/demo.svg from a real run of the demo: ``python docs/picture.py`` (about a minute and a half)."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from modelwatch.demo.app import DemoOptions, run_demo


def main() -> int:
    """Run the demo's short profile and draw what the terminal showed."""
    console = Console(record=True, width=118, highlight=False, force_terminal=True)
    code = run_demo(DemoOptions(profile="ci", prometheus="no"), console)
    target = Path(__file__).with_name("demo.svg")
    console.save_svg(str(target), title="make demo")
    return code


if __name__ == "__main__":
    sys.exit(main())
