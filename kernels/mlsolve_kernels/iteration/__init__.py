"""An iteration: it combines terms, light and placements.

Knows the objective (objective.py) and the ways to take a step: pass by pass (stepwise.py), in one fused sweep
(sweep.py), or on a GPU (cuda.py, cuda_arranged.py). Must not know what a term or a light computes. Called by src.
"""
