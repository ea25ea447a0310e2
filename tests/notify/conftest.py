"""Real peers for the notifiers: a store, a mailbox, a chat room, a certificate."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwatch.demo.sinks import SlackSink, SmtpSink
from modelwatch.notify.messages import AlertText
from modelwatch.store import StoreWriter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreWriter]:
    writer = StoreWriter(tmp_path / "storage")
    yield writer
    writer.close()


@pytest.fixture
def mailbox() -> Iterator[SmtpSink]:
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def chat() -> Iterator[SlackSink]:
    with SlackSink() as sink:
        yield sink


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate made just now, and of a client that trusts it alone."""
    openssl = shutil.which("openssl")
    if openssl is None:
        message = "openssl is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))


@pytest.fixture
def alert() -> Callable[..., dict[str, Any]]:
    """Make an alert dict as handlers get it; `text` is what was composed with it."""

    def make(text: AlertText | None = None, **changed: Any) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "alert_id": "a1",
            "timestamp": "2026-11-24T07:10:00+00:00",
            "level": "error",
            "type": "data_drift",
            "message": "it is off",
            "data": {} if text is None else {"text": text.as_dict()},
            "model_id": "ad_score",
            "status": "firing",
            "fingerprint": "00ff00ff00ff00ff",
            "starts_at": "2026-11-24T07:10:00+00:00",
        }
        return fields | changed

    return make
