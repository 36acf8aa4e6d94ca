"""Parts of `qopt.kernels.mincut`."""
