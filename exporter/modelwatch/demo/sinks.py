"""A mailbox, a chat room, PagerDuty and a webhook on the loopback interface, that show and check what they are sent.

The demonstration lets people see their alerts with them; the tests send to the same ones.
"""

from modelwatch.demo.event_sinks import PagerDutySink, WebhookSink
from modelwatch.demo.mail_sink import SmtpSink
from modelwatch.demo.slack_sink import SlackSink

__all__ = ["PagerDutySink", "SlackSink", "SmtpSink", "WebhookSink"]
