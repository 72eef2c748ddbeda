"""Endpoints, grouped as clients see them."""
