"""Fuzzing: bytes and requests made to hurt, for as long as one likes. `make fuzz MINUTES=10` runs it.

What it ever found lies in corpus/, one folder for each target, and is tried again by the suite.
"""
