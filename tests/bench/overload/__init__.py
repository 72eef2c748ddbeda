"""Many clients and one engine: what each contestant makes of more work than can be done.

`python -m tests.bench.overload` sends the same arrivals, which wait for nobody, to an engine alone, to
the engine with its own caps, and to seekserve in front of it; once on an engine made of an H100's
speeds (`h100`), once (`--engine real`) on vLLM with the demo model.
"""
