"""Drift scoring: pure functions from counts to severities, and the memory that keeps an alarm from flapping.

``statistics`` (one test) → ``decision`` (all tests of a check) → ``family`` (one kind of drift of one model) →
``tracking`` (over time); ``shifts`` and ``words`` say what moved.
"""
