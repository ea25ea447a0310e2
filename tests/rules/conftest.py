"""Rules against hand-made series: `promtool test rules` evaluates them as a server would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.config import MonitoringConfig
from modelwatch.conventions import Metric
from modelwatch_rules.groups import rule_file
from modelwatch_rules.promql import select
from modelwatch_rules.render import to_yaml
from modelwatch_rules.templates import EMAIL_HTML, TEMPLATE_FILE, call
from modelwatch_rules.timing import PRODUCTION, Timing


def duration(seconds: float) -> str:
    return f"{int(seconds)}s"


@dataclass
class Scenario:
    """Series by selector, one value per step, and what must be true when.

    A value is a number for all the time, or promtool's notation (``"0+10x240"``), or pairs of (seconds, value) one
    after the other; None stands for no sample.
    """

    promtool: str
    folder: Path
    config: MonitoringConfig
    timing: Timing = PRODUCTION
    length: float = 2 * 3600
    step: float = 15
    series: dict[str, str] = field(default_factory=dict)
    expressions: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)

    def give(self, metric: Metric | str, value: Any, suffix: str = "", /, **labels: str) -> None:
        self.series[select(metric, suffix, **labels)] = self._values(value)

    def _values(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        phases = value if isinstance(value, list) else [(self.length, value)]
        return " ".join(self._phase(round(seconds / self.step), number) for seconds, number in phases)

    @staticmethod
    def _phase(samples: int, number: float | None) -> str:
        return f"_x{samples}" if number is None else f"{number}+0x{samples - 1}"

    def fires(self, at: float, alert: str, *expected: Mapping[str, str]) -> None:
        """Say which alerts of a name fire at a time: labels without the name."""
        self.expressions.append(
            {
                "expr": f'ALERTS{{alertname="{alert}",alertstate="firing"}}',
                "eval_time": duration(at),
                "exp_samples": [
                    {"labels": select("ALERTS", alertname=alert, alertstate="firing", **labels), "value": 1}
                    for labels in expected
                ],
            }
        )

    def silent(self, at: float, *alerts: str) -> None:
        """Say that alerts, by default all but the watchdog, do not fire at a time."""
        names = "|".join(alerts) if alerts else "MLModel.+|ModelwatchCheck.+|ModelwatchExposed.+"
        self.expressions.append(
            {
                "expr": f'ALERTS{{alertname=~"{names}",alertstate="firing"}}',
                "eval_time": duration(at),
                "exp_samples": [],
            }
        )

    def says(self, at: float, alert: str, summary: str, description: str, *expected: Mapping[str, str]) -> None:
        """Say what all alerts of a name say, to the letter."""
        base = "https://github.com/modelwatch/modelwatch/blob/main/docs/runbooks"
        annotations = {"summary": summary, "description": description, "runbook_url": f"{base}/{alert}.md"}
        self.alerts.append(
            {
                "eval_time": duration(at),
                "alertname": alert,
                "exp_alerts": [{"exp_labels": dict(one), "exp_annotations": annotations} for one in expected],
            }
        )

    def check(self) -> None:
        rules, tests = self.folder / "rules.yml", self.folder / "tests.yml"
        rules.write_text(to_yaml(rule_file(self.config, self.timing)), encoding="utf-8")
        case = {
            "interval": duration(self.step),
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "promql_expr_test": self.expressions,
            "alert_rule_test": self.alerts,
        }
        whole = {"rule_files": ["rules.yml"], "evaluation_interval": duration(self.step), "tests": [case]}
        tests.write_text(yaml.safe_dump(whole, allow_unicode=True, width=10_000), encoding="utf-8")
        done = subprocess.run(
            [self.promtool, "test", "rules", str(tests)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def make_config() -> Callable[..., MonitoringConfig]:
    def make(*models: Mapping[str, Any] | str, **also: Any) -> MonitoringConfig:
        written: Sequence[Any] = [{"model_id": m} if isinstance(m, str) else m for m in models]
        return MonitoringConfig.model_validate({"models": written, **also})

    return make


@pytest.fixture
def scenario(
    require_server: Callable[[str], str], tmp_path: Path, make_config: Callable[..., MonitoringConfig]
) -> Scenario:
    """A server whose rules are of a configuration without models: what is tested is model-agnostic."""
    return Scenario(require_server("promtool"), tmp_path, make_config())


# ── Alertmanager ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def amtool(require_server: Callable[[str], str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    path = require_server("amtool")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=30)

    return run


@pytest.fixture
def receivers_of(amtool: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., tuple[str, ...]]:
    """Ask amtool where an alert goes."""

    def ask(path: Path, **labels: str) -> tuple[str, ...]:
        quoted = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in labels.items()]
        answer = amtool("config", "routes", "test", f"--config.file={path}", *quoted)
        assert answer.returncode == 0, answer.stderr
        return tuple(answer.stdout.strip().split(","))

    return ask


@pytest.fixture
def render_with(
    require_server: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Render one of the templates of a file for a group of alerts."""
    amtool = require_server("amtool")
    monkeypatch.setenv("TZ", "UTC")
    path = tmp_path / TEMPLATE_FILE

    def render(
        templates: str, name: str, *alerts: dict[str, Any], receiver: str = "r", group_by: Sequence[str] = ()
    ) -> str:
        path.write_text(templates, "utf-8")
        status = "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved"
        common = dict(set.intersection(*(set(alert["labels"].items()) for alert in alerts)))
        data: dict[str, Any] = {
            "receiver": receiver,
            "status": status,
            "alerts": alerts,
            "externalURL": "http://am.example.com:9093",
        }
        data |= {"commonLabels": common, "groupLabels": {key: common[key] for key in group_by if key in common}}
        (tmp_path / "data.json").write_text(json.dumps(data), "utf-8")
        command = [
            amtool, "template", "render", f"--template.glob={path}", f"--template.data={tmp_path / 'data.json'}",
            f"--template.type={'html' if name == EMAIL_HTML else 'text'}", f"--template.text={call(name)}",
        ]  # fmt: skip
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.removesuffix("\n")

    return render
