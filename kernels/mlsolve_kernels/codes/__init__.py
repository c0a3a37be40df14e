"""Code values of transmittance, and the differences between them that PNG and TIFF compress.

The code values are found on a GPU, too, so that layers leave it as such; the differences on the CPU only.
"""
