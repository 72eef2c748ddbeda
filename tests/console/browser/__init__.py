"""The Console's page in a real browser."""
