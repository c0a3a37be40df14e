"""Opponents in turns: python bench/compare.py [SIDE …] prints medians and the ratio to mlsolve.

They alternate, so that what else the machine is doing hits all of them alike.
"""

import statistics
import sys
import time

from opponents import check, steps

from mlsolve_kernels.threads import available_cores


def main() -> None:
    """Time every opponent at every side given, 600 if none is."""
    threads = available_cores()
    print("same problem: loss {:.1g} apart, gradient {:.1g}".format(*check()))
    for side in [int(text) for text in sys.argv[1:]] or [600]:
        iterations = steps(side, threads)
        times: dict[str, list[float]] = {name: [] for name in iterations}
        for turn in range(max(4, round(12 * 600 / side))):
            for name, iterate in iterations.items():
                began = time.perf_counter()
                iterate()
                if turn:  # the first turn compiles and allocates
                    times[name].append(time.perf_counter() - began)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, median in medians.items():
            ratio = median / medians["mlsolve"]
            print(f"{side}×{side}, {threads} threads  {name:<20} {median * 1e3:9.1f} ms   {ratio:5.1f} times")


if __name__ == "__main__":
    main()
