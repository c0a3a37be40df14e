"""Who carries tasks out: this process, several of them, or a GPU. One file each; a cluster would be one more.

Knows that a task is a plain function of plain arguments, not what it computes. Called by solving.levels and run.
"""
