"""The bench: what a proxy in front of vLLM costs, ours and others', measured side by side.

`python -m tests.bench` starts a mock vLLM, every contestant and a load generator as separate
processes, takes turns between the contestants, and prints one table. On a shared machine only
the ratios between rows of one table mean anything.
"""
