"""Tests of seekserve.engine."""
