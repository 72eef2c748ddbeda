"""Tests of seekserve.console."""
