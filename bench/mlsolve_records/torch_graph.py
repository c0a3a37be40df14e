"""The strongest opponent as a CUDA graph: a whole batch of its steps is recorded once and replayed.

mlsolve replays whole batches too. A replay needs one upload, of the rates of the batch, one launch, and one
download of its terms.
"""

from collections.abc import Callable, Sequence

import torch

from mlsolve_kernels.iteration.objective import Terms

from .torch_strongest import FloatArray, Strongest

Recorded = tuple[torch.Tensor, torch.Tensor, Callable[[], None]]
"""Rates and terms of a batch, both on the device, and the replay that reads the one and writes the other."""


def recorded(run: Callable[[], torch.Tensor], pool: object) -> tuple[torch.Tensor, Callable[[], None]]:
    """Record the CUDA work of `run`; return its result, which every replay overwrites, and the replay.

    `run` is called twice. The first call, on a side stream, computes: it compiles what is not compiled yet, which
    cannot be recorded. The second is only recorded. pool: the memory that graphs share, as of
    torch.cuda.graph_pool_handle().
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        result = run()
    return result, graph.replay


class StrongestAsGraph(Strongest):
    """Strongest, with one graph for every length of a batch."""

    def start(self, layers: FloatArray) -> None:
        """Restart from `layers` (N, C, H, W), clamped to the bounds."""
        super().start(layers)
        self._graphs: dict[int, Recorded] = {}  # those from before have other arrays
        self._pool: object = None

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms before the step."""
        return self.advance([rate])[0]

    def advance(self, rates: Sequence[float]) -> list[Terms]:
        """Take one step for each of `rates`; return, for each, the terms before the step."""
        if len(rates) not in self._graphs:
            self._graphs[len(rates)] = self._record(len(rates))
        table, terms, replay = self._graphs[len(rates)]
        lines = []
        for rate in rates:
            self.number += 1
            lines.append((*self.corrected(rate), 0.0, 0.0))
        table.copy_(torch.tensor(lines))
        replay()
        return [Terms(stack_ssim=(a,), stack_mse=(b,), guide_ssim=tuple(c)) for a, b, *c in terms.tolist()]

    def _record(self, number: int) -> Recorded:
        """Record `number` steps; the layers and moments remain as they are."""
        device, size = self.inside.device, self.problem.target.size
        # Lines of 16 bytes: Inductor copies inputs that are not aligned to that.
        table = torch.ones(number, 4, device=device)
        kept = [array.clone() for array in self.state]

        def run() -> torch.Tensor:
            steps = [self.compute(line[:2]) for line in table]
            return torch.stack([torch.cat([part.reshape(-1) for part in sums]) for sums in steps]) / size

        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        terms, replay = recorded(run, self._pool)
        for array, before in zip(self.state, kept, strict=True):
            array.copy_(before)
        return table, terms, replay
