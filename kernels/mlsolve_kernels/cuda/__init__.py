"""What the CUDA kernels share: their source, compiler, geometry and device. Nothing here needs a GPU to import."""
