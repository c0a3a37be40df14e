"""The GPUs of a run: which of this machine's it uses, and what they have in common."""

import warnings
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mlsolve_kernels.iteration.objective import Objective, Shape

from ..errors import BackendError, OptionError
from ..job.settings import MAX_DEVICES
from ..ranges import count
from ..solving.backends import CudaBackend, give_up_gpu
from ..solving.spec import BETAS, Spec

_PREFIX: Final = "backend is cuda: "


class Gpu(NamedTuple):
    """The GPU of a run, or several of one kind; all empty if it has none."""

    name: str | None = None
    adam: str | None = None
    """How Adam's step is compiled for them."""
    memory: int | None = None
    """Free memory in bytes of the one with the least."""
    numbers: tuple[int, ...] = ()
    """Among those that CUDA_VISIBLE_DEVICES leaves."""


def parse_devices(text: str) -> tuple[int, ...]:
    """Return the numbers in a text as "0,2". Raises OptionError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise OptionError(f"devices is {text!r}: give numbers of GPUs with commas between them, as in 0,2")
    return checked_devices(tuple(int(part[:9]) for part in parts))


def checked_devices(value: Any, cluster: str | None = None) -> tuple[int, ...]:
    """Return numbers of GPUs as a tuple; cluster: the address of one, if there is any.

    Raises OptionError for what are no numbers or the same twice, and beside a cluster.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise OptionError(f"devices is {value!r}: give numbers of GPUs, as in (0, 2)")
    numbers = tuple(count("devices", number, 0, MAX_DEVICES) for number in value)
    if not numbers:
        raise OptionError("devices is empty: name at least one GPU, or leave it out")
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise OptionError(f"devices is {_typed(numbers)}: GPU {twice} is there twice, name it once")
    if cluster is not None:
        raise OptionError(
            f"devices is {_typed(numbers)} beside cluster {cluster}: leave devices out, each worker uses the first "
            "GPU that its CUDA_VISIBLE_DEVICES leaves"
        )
    return numbers


def choose_gpus(backend: str, shape: Shape, objective: Objective, devices: tuple[int, ...] | None) -> Gpu:
    """Return the GPUs for a run on `backend` ("auto", "cpu" or "cuda"); empty: the CPU computes it.

    shape, objective: of the smallest tile that each must have memory for. devices: the GPUs that the user names;
    None: all of the first one's kind that work. Those of them that are not used are warned of, and so is "auto"
    falling back to the CPU. Raises BackendError if "cuda" is not available, or one that is named cannot be used.
    """
    if backend == "cpu":
        _refuse_devices(devices, "backend is cpu")
        return Gpu()
    try:
        return _found(devices, objective, shape)
    except BackendError as error:
        if devices is not None:
            raise
        give_up_gpu(backend, error)
        return Gpu()


def same_gpus(spec: Spec, devices: tuple[int, ...] | None) -> Gpu:
    """Return the GPUs with which a run that was begun is continued. Raises BackendError if there are none."""
    if spec.backend == "cpu":
        _refuse_devices(devices, "the run was begun on the CPU")
        return Gpu()
    return _found(devices, spec.objective, None)


def _refuse_devices(devices: tuple[int, ...] | None, why: str) -> None:
    if devices is not None:
        raise OptionError(f"devices is {_typed(devices)}: {why}, leave --devices out")


def _found(devices: tuple[int, ...] | None, objective: Objective, shape: Shape | None) -> Gpu:
    """Open the GPUs one after the other, and close them; return those that can be used."""
    found, failed, unused = Gpu(), list[BackendError](), list[str]()
    for number in _visible() if devices is None else devices:
        try:
            one = _opened(number, objective, shape)
        except BackendError as error:
            if devices is not None:
                raise type(error)(f"devices is {_typed(devices)}: {_reason(error)}") from None
            failed.append(error)
            unused.append(f"not using GPU {number}: {_reason(error)}")
            continue
        if not found.numbers:
            found = one
        elif one.name == found.name:
            assert one.memory is not None
            assert found.memory is not None
            found = found._replace(memory=min(one.memory, found.memory), numbers=(*found.numbers, number))
        elif devices is None:
            first = f"the {found.name} that is GPU {found.numbers[0]}"
            unused.append(f"not using GPU {number}: it is a {one.name}, which gives other bytes than {first}")
        else:
            raise OptionError(
                f"devices is {_typed(devices)}: GPU {number} is a {one.name} and GPU {found.numbers[0]} a "
                f"{found.name}, which give different bytes, so name GPUs of one kind"
            )
    if not found.numbers:
        raise failed[0]
    for words in unused:
        warnings.warn(words, stacklevel=5)
    return found


def _visible() -> Sequence[int]:
    """Return the numbers of the GPUs that the driver shows; 0 if it shows none: to open it tells why."""
    from mlsolve_kernels.cuda.device import gpu_count

    return range(gpu_count() or 1)


def _opened(number: int, objective: Objective, shape: Shape | None) -> Gpu:
    """Open a GPU, close it, and return what it is. Raises BackendError, also if it has no memory for `shape`."""
    backend = CudaBackend(BETAS, number=number)
    try:
        if shape is not None:
            backend.check_memory(shape, objective)
        return Gpu(backend.device, backend.adam(objective), backend.free_memory(), (number,))
    finally:
        backend.close()


def _reason(error: BackendError) -> str:
    return str(error).removeprefix(_PREFIX)


def _typed(devices: Sequence[int]) -> str:
    return ",".join(map(str, devices))
