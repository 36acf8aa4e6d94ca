"""The public names, once: `qopt/__init__.py` loads them from here."""

from . import cli as cli
from . import comparison as comparison
from . import core as core
from . import formulations as formulations
from . import generate as generate
from . import instances as instances
from . import jqodi as jqodi
from . import kernels as kernels
from . import measuring as measuring
from . import placement as placement
from . import plots as plots
from . import qpart as qpart
from .comparison import statistics as statistics
from .comparison.tables import compare as compare
from .core.certificate import Certificate as Certificate
from .core.envelope import Envelope as Envelope
from .core.errors import InputError as InputError
from .core.errors import MethodError as MethodError
from .core.errors import QoptError as QoptError
from .core.front import Front as Front
from .core.plan import read_plan as read_plan
from .core.plan import save_plan as save_plan
from .core.reading import bundled as bundled
from .core.reading import load as load
from .core.reading import save as save
from .core.solution import Solution as Solution
from .core.solving import breakpoints as breakpoints
from .core.solving import certify as certify
from .core.solving import front as front
from .core.solving import methods as methods
from .core.solving import solve as solve
from .jqodi.plan import JqodiPlan as JqodiPlan
from .jqodi.problem import Jqodi as Jqodi
from .placement.front import recommend as recommend
from .placement.plan import PlacementPlan as PlacementPlan
from .placement.problem import Placement as Placement
from .placement.strategies import strategies as strategies
from .qpart.plan import QPartPlan as QPartPlan
from .qpart.problem import QPart as QPart
from .qpart.serving.requests import Requests as Requests
from .qpart.serving.requests import fading_rates as fading_rates
from .qpart.serving.table import decide as decide
from .qpart.serving.table import load_table as load_table
from .qpart.serving.table import offline as offline

__version__: str
