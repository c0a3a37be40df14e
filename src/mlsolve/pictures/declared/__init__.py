"""What a file declares its colours to be: an ICC profile, CICP code points, primaries and curves.

Knows no file format and no pixels. Called by the decoders and by `pictures.conversion`.
"""
