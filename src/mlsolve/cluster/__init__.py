"""Many machines that work on one run: a Dask scheduler and its workers. Needs the extra `cluster`.

Knows tasks, workers and the folder that all of them see; not what a run is. Called by run.
"""
