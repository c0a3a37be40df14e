"""PNG and TIFF writers. The bytes they write do not depend on how many rows are passed at a time.

Knows nothing about where rows come from. Called through `pictures.picture_files`.
"""
