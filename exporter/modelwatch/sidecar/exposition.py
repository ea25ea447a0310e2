"""What Prometheus reads of a sidecar: results of checks, its own state, and recordings if asked to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from modelwatch import __version__
from modelwatch import conventions as c
from modelwatch.collector import RecordingCollector, ResultsCollector, render
from modelwatch.collector.families import Families
from modelwatch.collector.parts import OwnCollector
from modelwatch.recorder import Recorder
from modelwatch.service.models import RegisteredModel
from modelwatch.service.registration import recorded
from modelwatch.sidecar.watch import Watch

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig

__all__ = ["Exposition"]

logger = logging.getLogger("modelwatch")


class _SidecarCollector(OwnCollector):
    """The sidecar's own state."""

    def __init__(self, watch: Watch, storage_id: str, *, alone: bool) -> None:
        self._watch = watch
        self._storage_id = storage_id
        self._alone = alone

    def scrape(self) -> list[Families]:
        about = (c.BUILD_INFO, c.STORAGE_INFO) if self._alone else ()
        out = Families([*c.SIDECAR_METRICS, *about])
        out.add(c.CONFIG_RELOAD_OK, (), float(self._watch.reload_ok))
        out.add(c.CONFIG_RELOAD_TIME, (), self._watch.loaded_at)
        if self._alone:
            out.add(c.BUILD_INFO, (__version__,), 1)
            out.add(c.STORAGE_INFO, (self._storage_id,), 1)
        return [out]


class Exposition:
    """
    A registry of the sidecar's own, and its text.

    Parameters
    ----------
    watch
        Whose results are exposed.
    recordings
        Expose what was recorded too.
    """

    def __init__(self, watch: Watch, *, recordings: bool) -> None:
        self._watch = watch
        # Read once: it can't change, and a scrape must not fail with the store.
        storage_id = watch.store.storage_id()
        self.registry = CollectorRegistry()
        self._recorder: Recorder | None = None
        if recordings:
            # Reads the slots of all workers; as it records nothing, it never takes one.
            self._recorder = Recorder(watch.folder, None, clock=watch.clock, start_thread=False)
            recordings_shown = RecordingCollector(
                self._recorder,
                lambda: storage_id,
                max_series=lambda: watch.config.expose.max_series_per_model,
            )
            self.registry.register(recordings_shown)
        self._results = ResultsCollector(watch.store, watch.clock, models=self._configs, learned=self._learned)
        self.registry.register(self._results)
        self.registry.register(_SidecarCollector(watch, storage_id, alone=not recordings))
        self._shown: list[int] = []

    def _configs(self) -> list[ModelMonitoringConfig]:
        return [model.config for model in self._watch.models()]

    def _learned(self) -> dict[str, float]:
        return self._watch.jobs.learner.ratios(self._configs())

    def check(self) -> None:
        """
        See whether there is something to render.

        Raises
        ------
        StorageError
            If the results can't be read now.
        """
        self._results.check()

    def render(self, accept: str, names: Sequence[str] = (), *, compress: bool = False) -> tuple[bytes, str]:
        """
        Return the text of all metrics and its content type.

        Parameters
        ----------
        accept
            The request's header ``Accept``: OpenMetrics for those who ask, else Prometheus' text format.
        names
            Only these metrics (``name[]=``); empty for all.
        compress
            Whether to gzip it.
        """
        if self._recorder is not None:
            self._start_at_zero(self._recorder)
        return render(self.registry, accept, names, compress=compress)

    def _start_at_zero(self, recorder: Recorder) -> None:
        """Tell the reader of recordings which models there are: what is not recorded yet begins at zero."""
        models = self._watch.models()
        recorder.retire(self._watch.retired)
        if [id(model) for model in models] == self._shown:
            return
        profiles = {
            (checked.model_id, checked.model_version): str(checked.result.get("profile_id") or "")
            for checked in self._watch.store.latest_results()
            if checked.result is not None
        }
        for model in models:
            key = (model.config.model_id, model.config.model_version)
            recorder.add_model(recorded(self._with_profile(model, profiles.get(key, ""))))
        self._shown = [id(model) for model in models]

    def _with_profile(self, model: RegisteredModel, profile_id: str) -> RegisteredModel:
        """Return a model with the profile that its last check compared it with; as it is if there was none."""
        profile = self._watch.jobs.profile(profile_id) if profile_id else None
        if profile is None:
            return model
        return RegisteredModel(model.config, model.registered_at, profile, model.warnings)

    def close(self) -> None:
        """Let go of the recordings."""
        if self._recorder is not None:
            self._recorder.close()
