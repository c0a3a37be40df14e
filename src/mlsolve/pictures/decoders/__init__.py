"""Picture formats: headers and decoders. libvips decodes most formats, libheif and Pillow the others.

Knows what a file stores, but not what its colours mean in sRGB. Called by `pictures.picture` and the PNG writer.
"""
