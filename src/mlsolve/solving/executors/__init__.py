"""Executors run tasks: in this process, in several processes, or on a GPU. One file each; a cluster would add one.

Knows that a task is a plain function of plain arguments, not what it computes. Called by solving.levels and run.
"""
