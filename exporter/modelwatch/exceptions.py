"""Every error that modelwatch raises on purpose.

::

    ModelwatchError
    ├── ConfigError            a configuration file or object is wrong (also a ValueError)
    │   └── NotAvailableError  the key is right, the feature comes with a later release
    ├── ProfileError           a reference profile cannot be built, read or trusted (also a ValueError)
    ├── InputError             data or arguments handed to a call are wrong (also a ValueError)
    │   └── RegistryTakenError the registry exposes another service's metrics already
    ├── UnknownModelError      no model of that id is registered (also a LookupError)
    ├── StorageError           the storage folder or database cannot be used
    └── MissingPackageError    an optional package is needed and not installed (also an ImportError)

Calls on a predict path never raise these: they answer with ``{"status": "error", "error": "…"}``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "InputError",
    "MissingPackageError",
    "ModelwatchError",
    "NotAvailableError",
    "ProfileError",
    "RegistryTakenError",
    "StorageError",
    "UnknownModelError",
    "did_you_mean",
]


class ModelwatchError(Exception):
    """The base of all errors that modelwatch raises on purpose."""


class ConfigError(ModelwatchError, ValueError):
    """A configuration is wrong; the message names file, key, value and what is allowed."""


class NotAvailableError(ConfigError):
    """A configuration key is valid, but the feature behind it is not part of this release."""


class ProfileError(ModelwatchError, ValueError):
    """A reference profile cannot be built, read or trusted."""


class InputError(ModelwatchError, ValueError):
    """Data or arguments handed to a call are wrong."""


class RegistryTakenError(InputError):
    """A prometheus_client registry exposes another service's metrics already; twice would be invalid."""


class UnknownModelError(ModelwatchError, LookupError):
    """No model of that id is registered."""


class StorageError(ModelwatchError):
    """The storage folder or database cannot be used."""


class MissingPackageError(ModelwatchError, ImportError):
    """An optional package is needed and not installed; the message holds the pip command."""


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest known word, or ``""`` if none is close.

    >>> did_you_mean("sampling_rat", ["sampling_rate", "model_id"])
    " (did you mean 'sampling_rate'?)"
    >>> did_you_mean("zzz", ["sampling_rate"])
    ''
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""
