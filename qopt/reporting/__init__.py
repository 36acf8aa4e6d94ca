"""Pages about problems that need nothing but a browser: plan, certificate, pictures, and sliders along exact curves."""
