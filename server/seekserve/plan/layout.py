"""How a model is laid over devices: tensor, pipeline, data and expert parallelism. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of each kind of parallelism. `dcp` splits the KV cache's tokens over ranks of a TP group.

    Experts lie over all TP x DP ranks in either case: with `ep` whole experts, without it slices of
    every expert (vLLM flattens TP over DP for mixtures of experts).
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: bool = False
    dcp: int = 1
    nodes: int = 1

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.dp

    @property
    def dp_here(self) -> int:
        """Data-parallel ranks that lie whole on each node; 0 where one spans several."""
        return self.gpus // self.nodes // (self.tp * self.pp)

    @property
    def even(self) -> bool:
        """Whether vLLM can share the ranks out: to each node as many whole DP ranks, or to each DP rank
        as many whole nodes (config/parallel.py, nnodes_within_dp).
        """
        whole = self.dp % self.nodes == 0
        return whole or (self.nodes % self.dp == 0 and self.gpus % self.nodes == 0)

    @property
    def words(self) -> str:
        """Such as "TP 8 x PP 2"; "" for one device."""
        sizes = (("TP", self.tp), ("PP", self.pp), ("DP", self.dp))
        return " x ".join(f"{name} {size}" for name, size in sizes if size > 1)

    @property
    def expert_ranks(self) -> int:
        return self.tp * self.dp

    def layers_of(self, layers: int, rank: int) -> range:
        """The layers of one pipeline rank (vLLM's get_pp_indices)."""
        sizes = [layers // self.pp] * self.pp
        for back in range(2, layers % self.pp + 2):
            sizes[-back] += 1
        start = sum(sizes[:rank])
        return range(start, start + sizes[rank])
