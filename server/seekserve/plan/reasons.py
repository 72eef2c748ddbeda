"""Why a plan is what it is: sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from seekserve.plan.facts import Kernels
from seekserve.plan.fitting import COMFORTABLE_LEN, CPU_REQUESTS, Fit
from seekserve.plan.formats import alike
from seekserve.plan.memory import GIB
from seekserve.plan.version import dotted, sequences
from seekserve.plan.wish import Plan


def reasons(answer: Plan, best: Fit, kernels: Kernels) -> tuple[str, ...]:
    """The sum of a misfit first; then every choice that was not the plain one."""
    return tuple(filter(None, _reasons(answer, best, kernels)))


def _reasons(answer: Plan, best: Fit, kernels: Kernels) -> Iterator[str]:
    whole = best.cache.request(best.full_length, best.in_flight)
    budget = answer.utilization * answer.cluster.memory_gib
    spent = (answer.weights_bytes + best.overhead.total) / GIB
    if answer.verdict != "fits":
        yield (
            f"{answer.weights_bytes / GIB:.1f} GiB of weights + {best.overhead.total / GIB:.1f} overhead + "
            f"{best.request / GIB:.1f} for one request of {best.length:,} tokens = "
            f"{spent + best.request / GIB:.1f} GiB, of {budget:.1f} that may be used on each device."
        )
    if answer.verdict == "tight":
        yield (
            f"The line is within the {best.overhead.give_or_take / GIB:.1f} GiB that cannot be known "
            "beforehand, or within a tenth of it: it may start, or refuse to."
        )
    if best.reduced and answer.verdict == "fits":
        yield (
            f"The context is {best.length:,} tokens of the model's {best.full_length:,}: one request of "
            f"the whole length would take {whole / GIB:.1f} GiB of KV cache, and there are "
            f"{best.available / GIB:.1f}."
        )
    if not published(answer):
        known = ", ".join(answer.subject.formats)
        yield (
            f"No checkpoint of {answer.subject.name} in {answer.weights} is known, so there is no command. "
            f"It is sized as if there were one; known: {known}."
        )
    if answer.cluster.free_share < 1 and answer.utilization < answer.cluster.platform.utilization:
        yield (
            f"Others hold {1 - answer.cluster.free_share:.0%} of the memory: "
            f"--gpu-memory-utilization is lowered to {answer.utilization:.2f}."
        )
    yield from _cache(answer, best)
    yield from _choices(answer, kernels)


def _cache(answer: Plan, best: Fit) -> Iterator[str]:
    """What the size of the KV cache or of a request's part of it stands on."""
    if window := answer.subject.shape.window:
        layers = f"{len(window.layers)} of {answer.subject.shape.layers} layers"
        if best.cache.per_flight:
            yield f"{layers} attend to {window.size:,} tokens: they hold those and what is in flight."
        else:
            yield (
                f"{layers} attend to {window.size:,} tokens, but are counted as full attention, an upper "
                f"bound: what vLLM {dotted(answer.version)} on {answer.cluster.platform.name} holds for them "
                "is not known."
            )
    if answer.cluster.platform.id == "cpu" and best.room - best.available >= GIB:
        yield (
            f"The KV cache takes {best.available / GIB:.0f} of the {best.room / GIB:.0f} GiB that weights "
            f"leave: {_host_share(answer, best)}. The rest stays the host's; VLLM_CPU_KVCACHE_SPACE sets it."
        )


def _host_share(answer: Plan, best: Fit) -> str:
    length = f"{min(best.full_length, COMFORTABLE_LEN):,} tokens"
    if best.available > best.room / 2 + GIB:
        return "what one request needs"
    requests = min(answer.max_num_seqs, CPU_REQUESTS)
    return f"at most half in whole GiB, and at most what {requests} requests of {length} fill"


def _choices(answer: Plan, kernels: Kernels) -> Iterator[str]:
    arch = answer.cluster.accelerator.arch
    if answer.weights == "fp8" and kernels.fp8_weights == "marlin":
        yield f"{arch} has no FP8 arithmetic: weights stay FP8 in memory and are unpacked to 16 bits."
    shape, layout = answer.subject.shape, answer.layout
    if shape.latent and not shape.compressed and layout.tp > 1 and layout.pp == layout.dp == 1:
        yield "MLA's cache is whole on every TP rank: more TP does not hold more context."
    if shape.latent and layout.pp > 1:
        yield f"{layout.pp} stages split the layers and with them the cache; TP stays inside a node."
    usual = sequences(answer.version, answer.cluster.memory_gib, answer.cluster.accelerator.name)
    if (
        answer.max_num_seqs < usual
        and answer.verdict == "fits"
        and answer.cluster.platform.id != "cpu"
    ):
        yield f"At most {answer.max_num_seqs} sequences at once: graphs for fewer leave more to the cache."
    if arch == "gfx942" and shape.compressed:
        yield "V4 on this silicon is experimental: vLLM's code takes it, its recipes do not list it."
    if answer.drafting:
        yield "The checkpoint's own drafter is used: several tokens a step, at the cost of its weights."
    if answer.subject.host_gib:
        yield f"{answer.subject.host_gib:.0f} GiB of lookup tables are pinned in host memory, on every node."
    if answer.kv_cache_dtype == "nvfp4_ds_mla" and not arch.startswith("sm10"):
        yield f"vLLM's own kernels for nvfp4_ds_mla are Blackwell data-centre ones; {arch} needs a fork."


def published(answer: Plan) -> bool:
    """Whether a checkpoint in these weights is known, so that a command can name it."""
    subject = answer.subject
    if subject.family is None:
        return answer.weights in subject.formats
    return bool(alike(answer.weights, subject.variants))
