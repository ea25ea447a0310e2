"""The webhook channel: an alert as JSON to an address of the user's own.

The body is an object with these keys, which stay; new ones may come, and `version` changes if one of them should go:

=============  ===================================================================================================
version        ``"1"``
status         ``"firing"`` or ``"resolved"``
level          ``"info"``, ``"warning"``, ``"error"`` or ``"critical"``
type           what kind of alert: ``"data_drift"``, ``"latency"``, or the `alert_type` of ``send_alert``
model_id       the model; ``""`` if it is about none
fingerprint    the same for all messages about one thing that is wrong; ``send_alert`` gives each its own
alert_id       the same from "firing" to "resolved", another one next time
timestamp      when this was found, ISO-8601 with zone
starts_at      since when it holds, ISO-8601 with zone
message        headline and facts as plain text
subject        one line with the level, as the subject of an e-mail
lines          the facts, a list of texts
links          a list of ``{"label", "url"}``: dashboard and runbook, where they are configured
data           JSON facts; of scheduled checks ``alertname``, ``model_version`` and, of a metric, ``metric``
=============  ===================================================================================================

Any 2xx answer is success. Everything else is tried again for an hour, but 400, 413 and 422: they refuse the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelwatch.notify.labels import data_of
from modelwatch.notify.messages import text_of
from modelwatch.notify.post import post_json
from modelwatch.notify.secret_files import read_address
from modelwatch.store.serialize import plain

if TYPE_CHECKING:
    from modelwatch.config import WebhookReceiver

__all__ = ["VERSION", "WebhookHandler"]

VERSION = "1"
DEFAULT_TIMEOUT = 10.0
ALERT_KEYS = (
    "status", "level", "type", "model_id", "fingerprint", "alert_id", "timestamp", "starts_at", "message",
)  # fmt: skip


class WebhookHandler:
    """Post an alert as JSON.

    Parameters
    ----------
    receiver : WebhookReceiver
        The address, or a file that holds it, read at each send. ``user:password@`` in it is basic authentication.
    timeout : float
        Seconds that connecting, or waiting for an answer, may take.
    """

    def __init__(self, receiver: WebhookReceiver, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._receiver = receiver
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'url' if self._receiver.url else 'url_file'})"

    def __call__(self, alert: Mapping[str, Any]) -> None:
        """Post one alert.

        Raises
        ------
        NotifyError
            If it was not taken; the message does not hold the address.
        """
        url = read_address(self._receiver.url, self._receiver.url_file)
        post_json(url, compose(alert), what="webhook", timeout=self._timeout)


def compose(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body of an alert.

    >>> body = compose({"status": "firing", "level": "error", "message": "it is off", "data": {"rows": 5}})
    >>> body["version"], body["subject"], body["data"]
    ('1', '[ERROR] it is off', {'rows': 5})
    """
    text = text_of(alert)
    body = {
        "version": VERSION,
        **{key: str(alert.get(key) or "") for key in ALERT_KEYS},
        "subject": text.subject,
        "lines": list(text.lines),
        "links": [{"label": label, "url": url} for label, url in text.links],
        # Slack's and the mail's dialects of the text are of no use to anybody else.
        "data": {key: value for key, value in data_of(alert).items() if key != "text" or isinstance(value, str)},
    }
    safe = plain(body)
    assert isinstance(safe, dict)
    return safe
