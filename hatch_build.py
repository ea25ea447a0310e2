"""Compile what is faster in C, where there is a compiler; without one, the same is done in Python."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("exporter/modelwatch/recorder/_rows.c")
PURE = "MODELWATCH_PURE_PYTHON"
"""Set to anything for a wheel that fits every machine."""


class CompileRows(BuildHookInterface[Any]):
    """Adds the compiled reader of rows to a wheel; to an editable install beside its source."""

    PLUGIN_NAME = "custom"
    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile for the wheel that is about to be built."""
        if os.environ.get(PURE):
            return
        source = Path(self.root) / SOURCE
        self._folder = tempfile.TemporaryDirectory()
        try:
            built = compiled(source, Path(self._folder.name))
        except Exception as error:  # noqa: BLE001 - whatever a compiler may lack, the package works without it
            self.app.display_warning(f"{SOURCE.name} is not compiled ({error}); rows are read in Python")
            return
        if version == "editable":
            shutil.copyfile(built, source.with_suffix(".new"))
            source.with_suffix(".new").replace(source.with_name(built.name))  # nobody ever loads half a library
        else:
            build_data["force_include"][str(built)] = f"modelwatch/recorder/{built.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Throw away what was packed."""
        if self._folder is not None:
            self._folder.cleanup()


def compiled(source: Path, folder: Path) -> Path:
    """Return the extension module that was made of a source file."""
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    name = f"modelwatch.recorder.{source.stem}"
    command = build_ext(Distribution({"name": "modelwatch", "ext_modules": [Extension(name, [str(source)])]}))
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(name))
