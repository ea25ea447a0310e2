"""The configuration that the demo runs with, written to a file that newcomers can look at."""

from __future__ import annotations

import json
from pathlib import Path

from modelwatch.demo.script import Timetable

__all__ = ["MODEL_ID", "config_text"]

MODEL_ID = "flight_delay"


def config_text(times: Timetable, *, profile: Path, slack_url: Path, smtp_port: int, mode: str = "direct") -> str:
    """Return the models.yaml of the demo.

    Parameters
    ----------
    times : Timetable
        Gives the windows and the interval.
    profile : Path
        The reference profile.
    slack_url : Path
        A file that holds the address of the Slack webhook.
    smtp_port : int
        Where the demo's mail server listens on this machine.
    mode : str
        Who tells people: "direct" is modelwatch itself, "prometheus" is an Alertmanager.
    """
    short, long = times.windows
    return f"""\
# Written by `modelwatch demo` at each start; change a copy.
alerting:
  mode: {mode}
  receivers:
    email: {{to: ml-team@example.com, from: modelwatch@example.com, smtp: "127.0.0.1:{smtp_port}", tls: none}}
    slack: {{url_file: {_quoted(slack_url)}}}
  # So that you see every channel at work. Without this, a warning goes to the log, an error to the mail as well,
  # and only what is critical to Slack.
  severity_routing:
    warning: [log, email, slack]
    error: [log, email, slack]
models:
  - model_id: {MODEL_ID}
    task: binary
    reference: {_quoted(profile)}
    alert_channels: [log, email, slack]
    # So that you need not wait. The defaults are an interval of 60 minutes and windows of 1h, 24h and 168h.
    drift_detection_interval: {_seconds(times.interval)}
    drift: {{windows: [{_seconds(short)}, {_seconds(long)}]}}
"""


def _quoted(path: Path) -> str:
    return json.dumps(str(path))  # a JSON string is a YAML string, whatever is in it


def _seconds(value: float) -> str:
    return f"{round(value, 3):g}s"
