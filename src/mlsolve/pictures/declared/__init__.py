"""The colours that a file declares: an ICC profile, CICP code points, primaries and curves.

Knows no file format and no pixels. Called by the decoders and by `pictures.conversion`.
"""
