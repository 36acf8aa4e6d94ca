"""How the site is made of the pages: `docs/build_site.py` and `docs/conf.py` use it."""
