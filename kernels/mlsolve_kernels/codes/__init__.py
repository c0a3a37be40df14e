"""Code values of transmittance, and the differences between them that PNG and TIFF compress. On the CPU only."""
