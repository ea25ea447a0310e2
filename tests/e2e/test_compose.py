"""docker-compose.yml: valid, safe, and every command line and mounted file of it works with natively started processes.

No Docker engine is needed: the compose tool itself says what the file means (`config`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.config import load_config
from modelwatch.demo.servers import Server, free_port
from modelwatch.demo.sinks import SmtpSink

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """Return the file as the compose tool understands it, environment at its defaults."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [BIN / "docker-compose", "-f", "docker-compose.yml", "config", "--format", "json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_the_compose_tool_accepts_it_and_it_has_all_six_services(described: dict[str, Any]) -> None:
    assert set(described["services"]) == {"app", "sidecar", "prometheus", "alertmanager", "grafana", "mail"}


def test_images_are_pinned_ports_are_on_loopback_and_health_is_checked(described: dict[str, Any]) -> None:
    for name, service in described["services"].items():
        assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", service["image"]), name
        assert all(port["host_ip"] == "127.0.0.1" for port in service["ports"]), name
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_secrets_are_files_and_nowhere_inline(described: dict[str, Any]) -> None:
    for secret in described["secrets"].values():
        assert Path(secret["file"]).is_file()
    for service in described["services"].values():
        for key in service.get("environment") or {}:
            assert "PASSWORD" not in key or key.endswith("__FILE")


def test_every_mounted_file_exists_and_is_read_only(described: dict[str, Any]) -> None:
    for service in described["services"].values():
        for volume in service.get("volumes") or []:
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), volume["source"]
                assert volume["read_only"] is True


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run([BIN / "hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_gets_all_that_the_build_needs_and_nothing_else() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for names in copied for name in names.split()} == allowed
    assert all((ROOT / name).exists() for name in allowed)


def test_the_mounted_rules_and_routes_are_those_of_the_mounted_configuration(tmp_path: Path) -> None:
    make = re.search(
        r"rules generate --config compose/models.yaml(.+?)\n\t\$", (ROOT / "Makefile").read_text(), re.DOTALL
    )
    assert make is not None
    options = make[1].replace("\\\n", " ").split()
    options[options.index("--out") + 1] = str(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "modelwatch", "rules", "generate", "--config", "compose/models.yaml", *options],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    written = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    committed = ROOT / "rules" / "generated" / "compose"
    assert written == {p.relative_to(committed): p.read_text() for p in committed.rglob("*") if p.is_file()}


class NativeStack:
    """The services of the compose file that Debian has programs for, with addresses and paths of this machine."""

    def __init__(self, root: Path, programs: dict[str, str], mail_port: int, stack: ExitStack) -> None:
        self.root = root
        self._programs = programs
        self._stack = stack
        self.ports = {name: free_port() for name in ("9100", "9101", "9877", "9090", "9093")}
        # Longest first, so that no replacement spoils another.
        self._replacements = [
            ("/etc/modelwatch", root / "etc-modelwatch"),
            ("/etc/prometheus", root / "etc-prometheus"),
            ("/etc/alertmanager", root / "etc-alertmanager"),
            ("/var/lib/modelwatch", root / "state"),
            ("/run/secrets/slack_url", root / "secrets" / "slack_url"),
            ("=/prometheus", f"={root / 'prometheus'}"),
            ("=/alertmanager", f"={root / 'alertmanager'}"),
            ("0.0.0.0", "127.0.0.1"),
            ("mail:1025", f"127.0.0.1:{mail_port}"),
            *((f"{host}:{port}", f"127.0.0.1:{self.ports[port]}") for host, port in (
                ("app", "9100"), ("app", "9101"), ("sidecar", "9877"), ("alertmanager", "9093"), ("127.0.0.1", "9877"),
                ("127.0.0.1", "9090"), ("127.0.0.1", "9093"), ("127.0.0.1", "9100"),
            )),
        ]  # fmt: skip
        self._mount()

    def translate(self, text: str) -> str:
        for old, new in self._replacements:
            text = text.replace(old, str(new))
        return str(self.ports.get(text, text))

    def _mount(self) -> None:
        mounts = {
            "compose/models.yaml": "etc-modelwatch/models.yaml",
            "compose/secrets/slack_url.example": "secrets/slack_url",
            **{f"rules/generated/compose/{n}": f"etc-{n}" for n in ("prometheus", "alertmanager")},
        }
        for source, target in mounts.items():
            found = ROOT / source
            for path in [found] if found.is_file() else [p for p in found.rglob("*") if p.is_file()]:
                copy = self.root / target / path.relative_to(found) if found.is_dir() else self.root / target
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(self.translate(path.read_text()))
        (self.root / "state").mkdir()

    def start(self, service: str, ready: str, *extra: str) -> Server:
        described = COMPOSE["services"][service]
        command = [self.translate(str(word)) for word in described["command"]]
        if service in ("app", "sidecar"):
            command = [sys.executable, "-m", "modelwatch", *command]
        else:
            command = [self._programs[service], *command, *extra]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MODELWATCH_")}
        environment |= {k: self.translate(v) for k, v in COMPOSE["x-modelwatch"]["environment"].items()}
        server = Server(service, command, self.root / f"{service}.log", ready, env=environment)
        return self._stack.enter_context(server)

    def check_health(self, service: str) -> None:
        test = COMPOSE["services"][service]["healthcheck"]["test"]
        command = [self.translate(word).replace("python", sys.executable) for word in test[1:2]]
        command += [self.translate(word) for word in test[2:]]
        subprocess.run(command, check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory, require_server: Callable[[str], str]) -> Iterator[NativeStack]:
    programs = {"prometheus": require_server("prometheus"), "alertmanager": require_server("alertmanager")}
    with ExitStack() as stack:
        smtp = stack.enter_context(SmtpSink())
        world = NativeStack(tmp_path_factory.mktemp("compose"), programs, smtp.port, stack)
        url = {name: f"http://127.0.0.1:{port}" for name, port in world.ports.items()}
        app = world.start("app", f"{url['9100']}/metrics")
        app.wait_ready(90)
        sidecar = world.start("sidecar", f"{url['9877']}/-/ready")
        alertmanager = world.start(
            "alertmanager", f"{url['9093']}/-/ready", f"--web.listen-address=127.0.0.1:{world.ports['9093']}"
        )
        prometheus = world.start(
            "prometheus", f"{url['9090']}/-/ready", f"--web.listen-address=127.0.0.1:{world.ports['9090']}"
        )
        for server in (sidecar, alertmanager, prometheus):
            server.wait_ready(30)
        yield world


def ask(native: NativeStack, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{native.ports['9090']}/api/v1/{path}", timeout=5) as answer:
        return json.load(answer)["data"]


@pytest.mark.e2e
def test_prometheus_reaches_all_targets_of_the_mounted_configuration(native: NativeStack, wait_until: Any) -> None:
    def healthy() -> bool:
        targets = ask(native, "targets")["activeTargets"]
        return len(targets) == 3 and all(target["health"] == "up" for target in targets)

    wait_until(healthy, 30.0)


@pytest.mark.e2e
def test_every_mounted_rule_is_loaded_and_healthy(native: NativeStack, wait_until: Any) -> None:
    def healthy() -> bool:
        rules = [rule for group in ask(native, "rules")["groups"] for rule in group["rules"]]
        return bool(rules) and all(rule["health"] == "ok" for rule in rules)

    wait_until(healthy, 30.0)


@pytest.mark.e2e
def test_the_sidecar_scores_the_model_that_the_application_serves(native: NativeStack, wait_until: Any) -> None:
    model = load_config(ROOT / "compose" / "models.yaml").models[0].model_id
    query = f"query?query=modelwatch_drift_checks_total%7Bmodel_id%3D%22{model}%22%7D"
    wait_until(lambda: ask(native, query)["result"], 60.0)


@pytest.mark.e2e
@pytest.mark.parametrize("service", ["app", "sidecar"])
def test_the_health_checks_of_our_own_services_pass(native: NativeStack, service: str) -> None:
    native.check_health(service)


def test_grafana_finds_the_dashboard_where_the_provisioning_says(described: dict[str, Any]) -> None:
    mounts = {
        v["target"]: Path(v["source"]) for v in described["services"]["grafana"]["volumes"] if v["type"] == "bind"
    }
    provider = yaml.safe_load((ROOT / "grafana" / "provisioning" / "dashboards" / "modelwatch.yml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    assert folder in mounts
    assert json.loads(next(mounts[folder].glob("*.json")).read_text())["uid"]
    sources = yaml.safe_load((ROOT / "grafana" / "provisioning" / "datasources" / "modelwatch.yml").read_text())
    hosts = {re.sub(r"^https?://([^:/]+).*", r"\1", s["url"]) for s in sources["datasources"]}
    assert hosts <= set(described["services"])
