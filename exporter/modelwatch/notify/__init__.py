"""Telling people: what an alert says, which channel it goes to, and getting it there.

:mod:`~modelwatch.notify.messages` composes texts, :mod:`~modelwatch.notify.engine` decides what is news,
:mod:`~modelwatch.notify.outbox` delivers, one thread per channel, through the senders (log, e-mail, Slack,
PagerDuty, webhook, Alertmanager).
"""
