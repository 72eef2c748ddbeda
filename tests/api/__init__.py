"""Tests of seekserve.api."""
