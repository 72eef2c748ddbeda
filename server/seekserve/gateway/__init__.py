"""Requests: who may ask, whose turn it is, which engine answers, and the bytes in between."""
