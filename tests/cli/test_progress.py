"""Who sits before a terminal sees that something goes on; whoever reads a pipe sees nothing of it."""

from __future__ import annotations

import io

from modelwatch.cli.progress import working


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_long_work_is_told_on_a_terminal_and_nowhere_else() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        with working("checking that time again", stream):
            assert pipe.getvalue() == ""
    assert "checking that time again" in terminal.getvalue()
    assert pipe.getvalue() == ""
