"""Faults on a seeded schedule against the real server under load, and a verdict: `python -m tests.chaos`."""
