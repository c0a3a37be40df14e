"""Executors run tasks: in this process, in several processes, or on a GPU. One file each; that of a
cluster is in mlsolve.cluster.

Knows that a task is a plain function of plain arguments, not what it computes. Called by solving.levels and run.
"""
