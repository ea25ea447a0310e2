"""The Slack channel: an incoming webhook, or ``chat.postMessage`` with a bot token."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelwatch.notify.errors import NotifyError
from modelwatch.notify.messages import text_of
from modelwatch.notify.post import post_json
from modelwatch.notify.secret_files import read_secret
from modelwatch.notify.wording import slack_text

if TYPE_CHECKING:
    from modelwatch.config import SlackReceiver

__all__ = ["SlackHandler"]

MAX_BLOCK = 3000
"""Characters of text that Slack takes in one section block."""
MAX_BLOCKS = 50
MAX_FALLBACK = 500
DEFAULT_TIMEOUT = 10.0
POST_MESSAGE = "https://slack.com/api/chat.postMessage"


class SlackHandler:
    """Post an alert to Slack.

    Parameters
    ----------
    receiver : SlackReceiver
        A file with the webhook's URL, or one with a bot token beside the channel's name; read at each send.
    timeout : float
        Seconds that connecting, or waiting for an answer, may take.
    api_url : str
        Where ``chat.postMessage`` is; for tests and proxies.
    """

    def __init__(
        self, receiver: SlackReceiver, *, timeout: float = DEFAULT_TIMEOUT, api_url: str = POST_MESSAGE
    ) -> None:
        self._receiver = receiver
        self._timeout = timeout
        self._api_url = api_url

    def __repr__(self) -> str:
        way = "webhook" if self._receiver.url_file else f"bot, channel {self._receiver.channel}"
        return f"{type(self).__name__}({way})"

    def __call__(self, alert: Mapping[str, Any]) -> None:
        """Post one alert.

        Raises
        ------
        NotifyError
            If Slack did not take it; the message holds neither URL nor token.
        """
        payload = compose(alert)
        if self._receiver.channel:
            payload["channel"] = self._receiver.channel
        if self._receiver.url_file:
            url = read_secret(self._receiver.url_file, "url_file")
            post_json(url, payload, what="Slack webhook", timeout=self._timeout)
        elif self._receiver.token_file:
            self._post_as_bot(payload, read_secret(self._receiver.token_file, "token_file"))
        else:
            msg = "the Slack receiver has neither url_file nor token_file"
            raise NotifyError(msg, permanent=True)

    def _post_as_bot(self, payload: dict[str, Any], token: str) -> None:
        answer = post_json(self._api_url, payload, what="Slack API", timeout=self._timeout, bearer=token)
        try:
            said = json.loads(answer)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            msg = "Slack API failed: the answer is no JSON object"
            raise NotifyError(msg)
        if not said.get("ok"):  # Slack reports its refusals with status 200
            reason = re.sub(r"\W", "", str(said.get("error", "")))[:60] or "no reason given"
            raise NotifyError(f"Slack API refused the message: {reason}", permanent=reason.startswith("invalid_"))


def compose(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body of an alert: section blocks, and a text for notifications and old programs."""
    text = text_of(alert)
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in split_blocks(text.slack)[:MAX_BLOCKS]
    ]
    fallback = _cut(slack_text(text.subject), MAX_FALLBACK)
    return {"text": fallback, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def split_blocks(text: str, limit: int = MAX_BLOCK) -> list[str]:
    r"""Return `text` in parts of at most `limit` characters, cut between lines where possible.

    >>> split_blocks("aaa\nbbb\ncccccc", 7)
    ['aaa\nbbb', 'cccccc']
    """
    parts: list[str] = []
    for line in (_cut(line, limit) for line in text.split("\n")):
        if parts and len(parts[-1]) + 1 + len(line) <= limit:
            parts[-1] += f"\n{line}"
        else:
            parts.append(line)
    return [part for part in parts if part.strip()]


def _cut(text: str, limit: int) -> str:
    """Cut, but never through an escape such as ``&amp;``."""
    if len(text) <= limit:
        return text
    return re.sub(r"&[a-z]{0,4}$", "", text[: limit - 1]) + "…"
