"""A chat room on the loopback interface that answers as Slack does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelwatch.demo.http_sink import Answer, HttpSink, is_json
from modelwatch.demo.received import HOST

__all__ = ["SlackSink"]


class SlackSink(HttpSink):
    """An HTTP server that behaves as Slack does, towards an incoming webhook and ``chat.postMessage``.

    Bodies that Slack would refuse are refused, with Slack's words. :meth:`fail` makes it a sick Slack.

    Parameters
    ----------
    token : str
        The bot token that ``chat.postMessage`` insists on.
    address : tuple of str and int
        Where to listen; by default any free port of this machine.

    Examples
    --------
    >>> from urllib.request import Request, urlopen
    >>> with SlackSink() as sink:
    ...     head = {"Content-Type": "application/json"}
    ...     with urlopen(Request(sink.url, data=b'{"text": "hello"}', headers=head)) as answer:
    ...         print(answer.read().decode(), sink.messages)
    ok [{'text': 'hello'}]
    """

    what = "Slack message"

    def __init__(
        self,
        *,
        token: str = "xoxb-sink",  # noqa: S107 - it opens nothing but this sink
        address: tuple[str, int] = (HOST, 0),
    ) -> None:
        self.token = token
        super().__init__(address)

    @property
    def url(self) -> str:
        """The address of the incoming webhook."""
        return f"http://{self.host}:{self.port}/services/T000/B000/sink"

    @property
    def api_url(self) -> str:
        """The address of ``chat.postMessage``."""
        return f"http://{self.host}:{self.port}/api/chat.postMessage"

    def take(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Take a message, or refuse it with the words that Slack uses."""
        message = _message(headers, raw)
        if path == "/api/chat.postMessage":
            return self._as_api(message, headers)
        if path.startswith("/services/"):
            return self._as_webhook(message)
        return 404, "no_service"

    def too_large(self) -> Answer:
        """Refuse a body that is too large."""
        return 400, "invalid_payload"

    def sick(self, status: int) -> Answer:
        """Fail as asked for."""
        return status, "rate_limited" if status == 429 else "server_error"

    def _as_webhook(self, message: dict[str, Any] | str) -> Answer:
        if isinstance(message, str):
            return 400, message
        self._inbox.add(message)
        return 200, "ok"

    def _as_api(self, message: dict[str, Any] | str, headers: Mapping[str, str]) -> Answer:
        if headers.get("authorization") != f"Bearer {self.token}":
            message = "invalid_auth"
        elif isinstance(message, dict) and not message.get("channel"):
            message = "channel_not_found"
        if isinstance(message, str):
            return 200, {"ok": False, "error": message}
        self._inbox.add(message)
        return 200, {"ok": True, "ts": "1"}


def _message(headers: Mapping[str, str], raw: bytes) -> dict[str, Any] | str:
    """Return the body, or Slack's word for what is wrong with it."""
    if not is_json(headers):
        return "invalid_payload"
    try:
        body = json.loads(raw)
    except ValueError:
        return "invalid_payload"
    if not isinstance(body, dict):
        return "invalid_payload"
    if not any(body.get(key) for key in ("text", "blocks", "attachments")):
        return "no_text"
    return body if _blocks_are_valid(body.get("blocks", [])) else "invalid_blocks"


def _blocks_are_valid(blocks: object) -> bool:
    """Check the limits that Slack documents: 50 blocks, sections of 1 to 3000 characters."""
    if not isinstance(blocks, list) or len(blocks) > 50:
        return False
    for block in blocks:
        if not isinstance(block, dict) or "type" not in block:
            return False
        text = block.get("text")
        if block["type"] == "section" and not (
            isinstance(text, dict)
            and text.get("type") in ("mrkdwn", "plain_text")
            and isinstance(text.get("text"), str)
            and 1 <= len(text["text"]) <= 3000
        ):
            return False
    return True
