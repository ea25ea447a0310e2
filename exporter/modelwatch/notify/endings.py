"""That an alert is over: who is still to be told, kept in the store while their quiet hours last."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from modelwatch.notify.condition import Told, alert_of, told_of, with_told
from modelwatch.notify.messages import resolved_text
from modelwatch.policy import Severity
from modelwatch.records import Alert
from modelwatch.store import ActiveAlert
from modelwatch.store.alerts import OVER

__all__ = ["Ending", "taken_up"]


@dataclass(frozen=True)
class Ending:
    """The end of an alert, for those who were told that it fires.

    Attributes
    ----------
    at : float
        Unix seconds.
    levels : mapping of str to collection of Severity
        By channel, as what it knows the alert.
    why : str
        A word where it ends for another reason than that all is well again.
    """

    at: float
    levels: Mapping[str, Collection[Severity]]
    why: str = ""

    @classmethod
    def kept_in(cls, state: ActiveAlert) -> Ending:
        """Return what :meth:`keep` has put into the state of an alert."""
        kept = state.data[OVER]
        levels = {channel: tuple(map(Severity, told)) for channel, told in kept["levels"].items()}
        return cls(at=float(kept["at"]), levels=levels, why=str(kept["why"]))

    def keep(self, state: ActiveAlert, channels: Collection[str]) -> ActiveAlert:
        """Return the state of an alert that is over, and whose end some channels are still to be told of."""
        levels = {channel: sorted(map(int, self.levels[channel])) for channel in channels}
        return replace(state, data={**state.data, OVER: {"at": self.at, "why": self.why, "levels": levels}})

    def alert(self, state: ActiveAlert) -> Alert:
        """Return what to tell: how long it lasted, under the headline that people were told."""
        lasted = max(self.at - state.starts_at, 0.0)
        headline = str(state.data.get("headline") or state.message.partition("\n")[0])
        links = tuple((str(label), str(url)) for label, url in state.data.get("links", ()))
        text = replace(resolved_text(state.model_id, headline, lasted, self.why), links=links)
        data = {"model_id": state.model_id, "duration_seconds": lasted}
        return alert_of(state, text, data | ({"reason": self.why} if self.why else {}), "resolved", self.at)


def taken_up(state: ActiveAlert, ended: ActiveAlert | None) -> ActiveAlert:
    """Return the state of an alert that is new, or that some still believe to fire, as they slept through its end."""
    if ended is None:
        return state
    waiting = Ending.kept_in(ended).levels
    told: dict[str, Told] = {channel: what for channel, what in told_of(ended).items() if channel in waiting}
    said = {key: value for key, value in ended.data.items() if key in ("headline", "links")}
    state = replace(state, data={**said, **state.data})
    return with_told(state, told, max(what.at for what in told.values())) if told else state
