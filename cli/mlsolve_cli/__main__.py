"""`python -m mlsolve_cli` is `mlsolve`."""

from .main import main

main()
