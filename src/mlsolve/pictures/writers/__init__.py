"""PNG and TIFF writers that take rows in any portions and produce the same bytes however the rows come.

Knows nothing of where rows come from. Called through `pictures.picture_files`.
"""
