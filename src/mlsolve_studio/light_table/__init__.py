"""The light table: the sheets of a finished run, to be moved and looked at in a browser.

stack.py describes a run to the page, in numbers that come from the solver's own code; pyramid.py cuts large layers
into tiles; one_file.py writes page and run into one file; routes.py offers both to a browser.

Knows the folders of runs, placements, light and inks of mlsolve. Must not know how layers are solved. Called by the
command line and, through `routes.table_routes`, by the studio.
"""
