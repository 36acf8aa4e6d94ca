"""The site's settings for Sphinx. `make docs` builds it: docs/build_site.py gathers the pages first.

Nothing is fetched, neither while the site is built nor when a page of it is read.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import qopt  # noqa: E402

project = "qopt"
author = "The qopt authors"
copyright = f"{author}, MIT licence"
version = release = qopt.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "building.mathml", "building.links", "building.as_written"]

# Pages in Markdown, as GitHub reads them.
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # docs/build_site.py has executed them
nb_merge_streams = True
nb_ipywidgets_js = {}
html_math_renderer = "mathml"
highlight_language = "none"  # where a block names none

# The reference, from docstrings.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
suppress_warnings = ["ref.python"]  # types of one name in several rooms, in annotations

html_theme = "pydata_sphinx_theme"
html_title = f"qopt {release}"
html_static_path = ["_static"]
html_extra_path = [str(HERE.parent / "build" / "site" / "_extra")]  # the report
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"**": ["sections"]}
html_theme_options = {
    "logo": {"text": html_title},
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "search_bar_text": "Search these pages",
}

exclude_patterns = ["_extra"]
