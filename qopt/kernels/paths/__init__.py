"""Parts of `qopt.kernels.rcsp`."""
