"""Tests of seekserve.dialect."""
