"""What suits a job, found by small solves: guides from many candidates, placements of the sheets, exposures.

Knows jobs and the solver, not the command line and not how runs are carried out. Called by the command line.
"""
