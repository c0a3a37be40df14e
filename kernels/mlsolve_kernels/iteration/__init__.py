"""An iteration: terms, light and placements put together.

Knows what is minimised (objective.py) and how a step is taken: step by step (stepwise.py), in one fused sweep
(sweep.py), on a GPU (cuda.py, cuda_arranged.py). Must not know what a term or a light computes. Called by src.
"""
