"""What to lower, and to what: numbers from what the engine said and was told."""

from __future__ import annotations

from seekserve.engine.remedies import flags_of, remedy

ARGV = ("vllm", "serve", "m", "--gpu-memory-utilization", "0.9", "--max-model-len", "16384",
        "--max-num-seqs", "64", "--enable-auto-tool-choice")  # fmt: skip
SHORT = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
    "23.64 GiB of which 512.00 MiB is free. Including non-PyTorch memory, this process has 23.0 GiB in use."
)
LONGEST = (
    "ValueError: To serve at least one request with the models's max seq len (16384), (2.25 GiB KV cache is "
    "needed, which is larger than the available KV cache memory (1.10 GiB). Based on the available memory, "
    "the estimated maximum model length is 8000."
)


def test_utilization_is_lowered_by_what_was_missing() -> None:
    """2.0 - 0.5 GiB were missing, and 0.25 to spare: 1.75 / 23.64 = 0.074 of the device."""
    told = remedy([SHORT], ARGV)
    assert "gpu-memory-utilization to 0.82 (now 0.9)" in told
    assert "2.0 GiB were wanted and 0.5 GiB of 23.64 GiB were free" in told


def test_where_lowering_would_leave_nothing_the_planner_is_named() -> None:
    told = remedy([SHORT.replace("2.00 GiB", "20.00 GiB")], ARGV)
    assert "seekserve plan" in told and "utilization" not in told


def test_the_longest_context_is_what_the_engine_estimates() -> None:
    assert "max-model-len to 8000 (now 16384)" in remedy([LONGEST], ARGV)


def test_memory_without_figures_names_what_takes_it() -> None:
    told = remedy(["RuntimeError: out of memory"], ARGV, {"VLLM_CPU_KVCACHE_SPACE": "4"})
    for part in ("max-num-seqs to 32 (now 64)", "max-model-len to 8192", "KVCACHE_SPACE to 2"):
        assert part in told


def test_what_cannot_be_lower_is_not_named() -> None:
    told = remedy(["RuntimeError: out of memory"], ARGV, {"VLLM_CPU_KVCACHE_SPACE": "1"})
    assert "max-num-seqs to 32" in told and "KVCACHE_SPACE" not in told
    assert "lower gpu-memory-utilization" in remedy(["out of memory"], ("--max-num-seqs", "1"))


def test_a_context_beyond_the_models_window() -> None:
    line = (
        "Value error, User-specified max_model_len (9000) is greater than the derived max_model_len"
    )
    assert "lower that" in remedy([f"{line} (max_position_embeddings=4096)."], ARGV)


def test_a_kill_that_was_not_ours_is_taken_for_want_of_memory() -> None:
    assert "kernel killed it" in remedy(["all is well"], ARGV, code=-9)
    assert remedy(["all is well"], ARGV, code=1) == ""


def test_what_compiling_needs_is_named() -> None:
    for line in (
        "torch._inductor.exc.InvalidCxxCompiler: No working C++ compiler found in "
        "torch._inductor.config.cpp.cxx: (None, 'g++')",
        "/tmp/x/main.cpp:1:10: fatal error: Python.h: No such file or directory",
    ):
        assert "apt-get install g++ python3-dev" in remedy([line])


def test_flags_without_values_are_no_pairs() -> None:
    assert flags_of(ARGV) == {
        "gpu-memory-utilization": "0.9", "max-model-len": "16384", "max-num-seqs": "64"
    }  # fmt: skip
