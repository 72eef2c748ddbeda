"""Tests of seekserve.gateway."""
