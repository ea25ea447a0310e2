"""What ``modelwatch doctor`` looks at, one module per place: storage, endpoints, Prometheus, Alertmanager, channels.

Each checkup takes a :class:`~modelwatch.cli.checkups.finding.Patient` and returns findings; none changes anything, and
none depends on what another found.
"""
