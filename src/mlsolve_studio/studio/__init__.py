"""The studio: from a dropped picture to a folder of layers, in a browser.

folder.py says what is where in the studio's folder. uploads.py takes files in, shelf.py lists what guides can be
had, jobs.py turns what the page asks for into a job.toml and back, runs.py carries jobs out one after the other, in
processes whose code is worker.py (children.py starts them); estimates.py tells what a job will need. form.py lists
the fields of the page, routes.py offers all of it to the page.

Knows the session, the estimate, the sheets and the guides of mlsolve, and the server. Must not know a second way to
start a run. Called by the command line, through `serving.serve_studio`.
"""
