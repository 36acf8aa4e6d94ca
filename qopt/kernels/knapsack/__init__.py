"""Parts of `qopt.kernels.mckp`."""
