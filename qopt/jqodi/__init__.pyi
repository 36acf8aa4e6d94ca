"""The names of this room, once: `qopt/jqodi/__init__.py` loads them from here."""

from . import breakpoints as breakpoints
from . import costs as costs
from . import diagram as diagram
from . import labels as labels
from . import limits as limits
from . import plan as plan
from . import reductions as reductions
from . import terms as terms
from .costs import breakdown as breakdown
from .diagram import plan_vertices as plan_vertices
from .diagram import write_diagram as write_diagram
from .drawing import worlds as worlds
from .limits import smallest_limits as smallest_limits
from .plan import JqodiPlan as JqodiPlan
from .replan import remaining as remaining
from .sampled import solve_sampled as solve_sampled
from .simulation import follow as follow
