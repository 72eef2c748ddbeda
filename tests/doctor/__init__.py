"""Tests of seekserve.doctor."""
