"""The tests, laid out like server/. `fake_engine.py` is a process that does what a healthy vLLM will not."""
