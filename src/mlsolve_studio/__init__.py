"""Pages on one's own machine: the light table (`mlsolve view`) and the studio.

Knows finished runs, and serves pages about them to one browser. Must not know how layers are solved. Called by the
command line. `server` needs the extra `studio`; `light_table` needs nothing more than mlsolve itself.
"""
