"""The instructions of a cubin, as NVIDIA's nvdisasm tells them."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path


@cache
def nvdisasm():
    """The program: of the package nvidia-cuda-nvdisasm, or of a toolkit on the path."""
    try:
        for file in files("nvidia-cuda-nvdisasm"):
            if file.stem == "nvdisasm":
                return str(file.locate())
    except PackageNotFoundError:
        pass
    found = shutil.which("nvdisasm")
    assert found is not None, "needs nvdisasm: pip install nvidia-cuda-nvdisasm"
    return found


def listing(cubin):
    """What nvdisasm prints of a cubin."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kernel.cubin")
        file.write_bytes(cubin)
        return subprocess.run([nvdisasm(), "-c", str(file)], capture_output=True, text=True, check=True).stdout


def instructions(cubin):
    """How often each instruction is there, by its name with all modifiers but those of the chip."""
    lines = re.findall(r"/\*[0-9a-f]{4,5}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", listing(cubin))
    return Counter(line.removesuffix(".SYS") for line in lines)
