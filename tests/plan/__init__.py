"""Tests of seekserve.plan."""
