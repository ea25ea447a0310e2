"""Finding and loading the configuration file, and the folder of the storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from modelwatch.config.base import FOLDER
from modelwatch.config.document import Document, read_document
from modelwatch.config.model import ModelMonitoringConfig
from modelwatch.config.monitoring import MonitoringConfig
from modelwatch.config.problems import Problem, error_of, explain
from modelwatch.config.values import show
from modelwatch.exceptions import ConfigError, NotAvailableError

__all__ = ["config_error", "default_storage_path", "find_config", "load_config", "named_config"]

CONFIG_VARIABLE = "MODELWATCH_CONFIG"
STORAGE_VARIABLE = "MODELWATCH_STORAGE"
LOCAL_CONFIG = "models.yaml"
SYSTEM_STORAGE = Path("/var/lib/modelwatch")

_ADAPTER: TypeAdapter[MonitoringConfig] = TypeAdapter(MonitoringConfig)


def load_config(path: str | Path) -> MonitoringConfig:
    """Load a JSON or YAML configuration file.

    Parameters
    ----------
    path : str or Path
        A file that ends in .json, .yaml or .yml. Relative paths inside it start from its folder.

    Raises
    ------
    ConfigError
        With every mistake on a line of its own: file, line, key path, what is allowed, what was found, a close match.
    NotAvailableError
        If the file is right, but uses what a later release gives life to.
    """
    file = Path(path)
    document = read_document(file)
    if not isinstance(document.value, Mapping):
        raise ConfigError(f"{file}: must be a mapping with the key 'models', got {show(document.value)}")
    try:
        config = _ADAPTER.validate_python(document.value, context={FOLDER: str(file.absolute().parent)})
    except ValidationError as error:
        found = [_with_model(problem, document) for problem in explain(error, MonitoringConfig)]
        raise error_of([*document.problems, *_not_yet_said(found, document)], str(file), document.lines) from None
    if document.problems:
        raise error_of(document.problems, str(file), document.lines)
    config._source = file.absolute()
    return config


def _not_yet_said(found: list[Problem], document: Document) -> list[Problem]:
    """Leave out what only follows from a mistake that the document itself already shows at the same place."""
    said = {problem.path for problem in document.problems}
    return [p for p in found if not any(p.path[:end] in said for end in range(1, len(p.path) + 1))]


def _with_model(problem: Problem, document: Document) -> Problem:
    """Add to a mistake inside a model which model it is: nobody counts list items."""
    if len(problem.path) < 3 or problem.path[0] != "models" or not isinstance(index := problem.path[1], int):
        return problem
    model = document.value["models"][index]
    name = model.get("model_id") if isinstance(model, Mapping) else None
    if not isinstance(name, str) or problem.path[2] == "model_id":
        return problem
    return Problem(problem.path, f"{problem.sentence} [model {show(name)}]", problem.later)


def config_error(error: ValidationError, source: str) -> ConfigError:
    """Return the readable error for one of pydantic's about a model's configuration."""
    return error_of(explain(error, ModelMonitoringConfig), source)


def named_config(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the configuration file that ``$MODELWATCH_CONFIG`` names, there or not; None if it names none."""
    named = (os.environ if environ is None else environ).get(CONFIG_VARIABLE)
    return Path(named) if named else None


def find_config(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Path | None:
    """Return the configuration file: ``$MODELWATCH_CONFIG``, else ``models.yaml`` in `folder`, else None.

    `folder` is the current one by default. A file that the environment names is returned even if it does not exist,
    so that loading it says so.
    """
    if (named := named_config(environ)) is not None:
        return named
    local = Path(LOCAL_CONFIG) if folder is None else folder / LOCAL_CONFIG
    return local if local.is_file() else None


def default_storage_path(
    given: str | None = None,
    config: MonitoringConfig | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    system: Path = SYSTEM_STORAGE,
) -> Path:
    """Return the folder of the storage; it is not created.

    The first of: `given`, ``$MODELWATCH_STORAGE`` (a deployment goes over a file that travels), ``storage.path`` of
    the configuration, `system` if it is or can be made writable, ``$XDG_STATE_HOME/modelwatch``,
    ``~/.local/state/modelwatch``.

    Raises
    ------
    NotAvailableError
        If it is the address of a database: those come later.
    """
    variables = os.environ if environ is None else environ
    named = given or variables.get(STORAGE_VARIABLE) or (config.storage.path if config is not None else None)
    if named:
        if "://" in named:
            raise NotAvailableError(
                "storage: a database instead of a folder is not available yet; give the path of a folder"
            )
        return Path(named).expanduser()
    if _writable(system):
        return system
    state = Path(variables.get("XDG_STATE_HOME") or "")
    return (state if state.is_absolute() else Path.home() / ".local" / "state") / "modelwatch"


def _writable(folder: Path) -> bool:
    nearest = folder if folder.exists() else folder.parent
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
