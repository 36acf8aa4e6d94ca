"""JQODI: which model, bit-width, cut and edge server, epoch by epoch.

The question of "Towards Energy-Efficient Collaborative Inference and Fine-tuning: Matching Model Compression and
Offloading with Resource Availability" as frozen data. A cloud holds trained models. One of them is quantized and
fine-tuned for a device, with its private data, until its loss is low enough: in each epoch an edge server x and a
cut j say that the device runs layers 1..j and the server the rest. What is trained goes back to the cloud, which
updates its full-precision model. Energy is minimised, within a time limit.

K, the number of epochs that a model needs at a bit-width, is data: given, or derived from how its loss changes
(`qopt.jqodi.losses`). It has two estimates, *expected* and *robust*.

Modes: ``choice`` (one server and cut for all epochs), ``schedule`` (one pair an epoch), ``path`` (one pair an epoch,
and changing it costs time and energy).

Units: seconds, joules, bits, multiply-accumulates (MACs), images.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.checks import check_length, twice, unknown
from qopt.core.columns import complaint
from qopt.core.display import counted
from qopt.core.errors import shown
from qopt.core.problem import Positive, Problem
from qopt.jqodi.losses import Change, fewest_epochs
from qopt.jqodi.models import LARGEST as LARGEST
from qopt.jqodi.models import Bits, Name
from qopt.jqodi.models import Model as Model
from qopt.jqodi.models import Width as Width
from qopt.jqodi.parts import Cloud, Conditions, Device, Inference, Server, Switching
from qopt.jqodi.start import Start as Start
from qopt.jqodi.start import Traffic as Traffic


class Jqodi(Problem):
    """Minimise the energy of fine-tuning over model, bit-width, server and cut (Eq. 13; in mode choice Eq. 16).

    Attributes
    ----------
    mode : ``choice``, ``schedule`` or ``path``.
    time_limit : T_max [s].
    cloud, servers, devices : the nodes, each with a name of its own.
    device : name of the device that is decided for; default the first.
    training_passes : passes over a training image in an epoch (forward and backward), in units of an inference.
    models : one of them is chosen.
    widths : list of admissible bit-widths; default all. Others serve comparisons only (full-model and minimal-model).
    estimate : ``expected``: K^exp epochs in time and energy. ``robust``: K^rob epochs must fit T_max, the energy of
        the first K^exp counts, and of all that are left where K^exp has passed. ``chance``: the same with the fewest
        epochs of which K needs no more with a chance of at least `confidence`, by ``epochs.chances`` of every width:
        then T_max is kept with at least that chance.
    confidence : of ``chance``, between 0 and 1.
    conditions, switching, inference : what changes by epoch, what changing costs, what is served afterwards.
    start : where the run stands, if it has begun; default it has not.
    traffic : features and gradients, if they are counted; default parameters only, as printed.
    """

    format: Literal["qopt/jqodi"] = "qopt/jqodi"
    version: Literal[1] = 1
    mode: Literal["choice", "schedule", "path"]
    time_limit: Positive
    cloud: Cloud
    servers: Annotated[tuple[Server, ...], Field(min_length=1, max_length=1000)]
    devices: Annotated[tuple[Device, ...], Field(min_length=1)]
    device: Name | None = None
    training_passes: Positive = 3.0
    models: Annotated[tuple[Model, ...], Field(min_length=1)]
    widths: Annotated[tuple[Bits, ...], Field(min_length=1)] | None = None
    estimate: Literal["expected", "robust", "chance"] = "expected"
    confidence: Annotated[float, Field(gt=0, lt=1, strict=True)] | None = None
    conditions: Conditions | None = None
    switching: Switching = Switching()
    inference: Inference = Inference()
    start: Start | None = None
    traffic: Traffic | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for where in ("servers", "devices", "models"):
            again = twice(tuple(entry.name for entry in getattr(self, where)))
            if again is not None:
                raise complaint(f".{where}", f"{shown(again)} twice", "names that differ")
        names = self.server_names
        for d, device in enumerate(self.devices):
            for k, link in enumerate(device.links):
                if link.server not in names:
                    raise unknown(f".devices[{d}].links[{k}].server", link.server, names, "a server")
        devices = tuple(device.name for device in self.devices)
        if self.device is not None and self.device not in devices:
            raise unknown(".device", self.device, devices, "a device")
        if self.images > LARGEST:
            found, allowed = "more images an epoch than can be counted", f"numbers whose products are below {LARGEST:g}"
            raise complaint(".training_passes", found, allowed)
        self._check_widths()
        self._check_confidence()
        self._check_start()
        self._check_switching()
        self._check_conditions()
        if self.inference.requests > 0:
            self._check_sent("inference requests are given")
        if self.traffic is not None:
            self._check_sent("traffic is counted")
        return self

    def summary(self) -> list[str]:
        """What may be chosen, how, and by when, in three lines."""
        sizes = ", ".join(f"{model.name} ({counted(len(model.widths), 'width')})" for model in self.models)
        begun = [f"epoch {self.done + 1} is next, {self.start.elapsed:g} s have passed"] if self.start else []
        return [
            f"mode {self.mode}: {counted(len(self.servers), 'server')}, {counted(len(self.models), 'model')}",
            f"models {sizes}",
            f"deadline {self.time_limit:g} s, {self.estimate} epochs",
            *begun,
        ]

    def _check_widths(self) -> None:
        if self.widths is None:
            return
        if twice(self.widths) is not None:
            raise complaint(".widths", f"{twice(self.widths)} bits twice", "each bit-width once")
        known = {width.bits for model in self.models for width in model.widths}
        for w, bits in enumerate(self.widths):
            if bits not in known:
                raise complaint(
                    f".widths[{w}]", str(bits), "widths of the models: " + ", ".join(map(str, sorted(known)))
                )

    def _check_confidence(self) -> None:
        if (self.confidence is None) == (self.estimate == "chance"):
            found = "nothing" if self.confidence is None else f"{self.confidence:g} beside {self.estimate!r}"
            raise complaint(".confidence", found, "a number between 0 and 1 where estimate is chance, and only there")
        for m, model in enumerate(self.models):
            for w, width in enumerate(model.widths):
                known = width.epochs is not None and width.epochs.chances is not None
                never = width.epochs is None and width.loss is None
                asked = self.estimate == "chance" and (self.widths is None or width.bits in self.widths)
                if asked and not known and not never:
                    where = f".models[{m}].widths[{w}].epochs.chances"
                    raise complaint(where, "nothing", "chances of K, since estimate is chance")

    def _check_start(self) -> None:
        start = self.start
        if start is None:
            return
        if start.server is not None and start.server not in self.server_names:
            raise unknown(".start.server", start.server, self.server_names, "a server")
        if start.cut is not None and start.cut > self.layers:
            raise complaint(".start.cut", str(start.cut), f"a cut from 0 to {self.layers}")
        if start.model is None:
            return
        names = tuple(model.name for model in self.models)
        if start.model not in names:
            raise unknown(".start.model", start.model, names, "a model")
        model = self.model(start.model)
        if start.cut is not None and start.cut > len(model):
            raise complaint(".start.cut", str(start.cut), f"a cut of {model.name}, from 0 to {len(model)}")
        allowed = [width.bits for width in model.widths if self.widths is None or width.bits in self.widths]
        if start.bits not in allowed:
            raise complaint(".start.bits", str(start.bits), f"a width of {model.name}: {', '.join(map(str, allowed))}")
        width = model.width(start.bits)
        if start.loss is not None and width.loss is None:
            what = f"nothing, since K of {model.name} at {start.bits} bits does not follow from losses"
            raise complaint(".start.loss", f"{start.loss:g}", what)
        if width.epochs is not None:
            total, where = (
                self.whole_epochs(model, width),
                ".start.epochs" if start.trained is None else ".start.trained",
            )
            if total is not None and start.behind >= total:
                what = f"at most {total - 1}: {model.name} at {start.bits} bits needs {total} ({self.estimate})"
                raise complaint(where, str(start.behind), f"{what}, and nothing is left to decide")

    def _check_switching(self) -> None:
        if self.mode == "schedule" and self.switching.costs:
            allowed = "mode path, where changing costs, or a switching of 0"
            raise complaint(".mode", "'schedule' beside a switching that costs", allowed)
        sizes = {"server": (len(self.servers), "server"), "cut": (self.layers + 1, f"cut from 0 to {self.layers}")}
        for name in Switching.model_fields:
            value = getattr(self.switching, name)
            if isinstance(value, float):
                continue
            size, of = sizes[name.split("_")[0]]
            check_length(f".switching.{name}", value, size, of)
            if value.shape[1] != size:
                raise complaint(f".switching.{name}", f"rows of {value.shape[1]} entries", f"{size}, one for each {of}")
            bad = np.flatnonzero(np.diag(value))
            if bad.size:
                i = int(bad[0])
                raise complaint(f".switching.{name}[{i}][{i}]", f"{value[i, i]:g}", "0, since nothing changes")

    def _check_conditions(self) -> None:
        if self.conditions is None:
            return
        for name in self.conditions.servers:
            if name not in self.server_names:
                raise unknown(".conditions.servers", name, self.server_names, "a server")
        needed = [(k, model.name, width.bits) for model, width in self.admissible if (k := self.needed(model, width))]
        if not needed:
            return
        longest, model_name, bits = max(needed)
        for where, column in self.conditions.columns():
            if len(column) < longest + self.done:
                allowed = f"at least {longest + self.done}, the epochs of {model_name} at {bits} bits"
                raise complaint(f".conditions{where}", f"{len(column)} entries", allowed)

    def _check_sent(self, since: str) -> None:
        for m, model in enumerate(self.models):
            cuts = model.admissible_cuts
            if model.activations is None and any(0 < j < len(model) for j in cuts):
                raise complaint(f".models[{m}].activations", "nothing", f"a column, since {since}")
            for name in ("input_size", "input_bits"):
                if 0 in cuts and getattr(model, name) is None:
                    asked = "requests may be sent" if self.traffic is None else since
                    raise complaint(f".models[{m}].{name}", "nothing", f"a number, since {asked} at cut 0")

    @property
    def layers(self) -> int:
        """Layers of the deepest model."""
        return max(len(model) for model in self.models)

    @property
    def server_names(self) -> tuple[str, ...]:
        """Names of the servers, in their order."""
        return tuple(server.name for server in self.servers)

    @property
    def decided(self) -> Device:
        """The device that is decided for."""
        return next(d for d in self.devices if self.device is None or d.name == self.device)

    @property
    def images(self) -> float:
        """Passes of one image through the network that an epoch takes."""
        return self.training_passes * self.decided.training + self.decided.validation

    @property
    def admissible(self) -> tuple[tuple[Model, Width], ...]:
        """Pairs of model and width that may be chosen, whether or not they ever reach the loss."""
        start = self.start
        going_on = start is not None and start.model is not None and not start.anew
        return tuple(
            (model, width)
            for model in self.models
            for width in model.widths
            if self.widths is None or width.bits in self.widths
            if not going_on or self.under_way(model, width)
        )

    @property
    def done(self) -> int:
        """Epochs that are done: the first that is decided is the next one."""
        return 0 if self.start is None else self.start.epochs

    def under_way(self, model: Model, width: Width) -> bool:
        """Whether a model at a width is what the run has begun."""
        return self.start is not None and (self.start.model, self.start.bits) == (model.name, width.bits)

    @property
    def horizon(self) -> int | None:
        """Epochs still to come for which conditions are given; None where nothing changes."""
        columns = [] if self.conditions is None else [len(column) for _, column in self.conditions.columns()]
        return max(min(columns) - self.done, 0) if columns else None

    def model(self, name: str) -> Model:
        """The model of a name; KeyError if there is none."""
        return {model.name: model for model in self.models}[name]

    def needed(self, model: Model, width: Width) -> int | None:
        """Epochs that must still fit T_max by the estimate in force; None where the loss is never reached."""
        expected, robust = self.epochs(model, width)
        if self.estimate != "chance":
            return expected if self.estimate == "expected" else robust
        total, done = self.whole_epochs(model, width), self.behind(model, width)
        return None if total is None else total - done

    def epochs(self, model: Model, width: Width) -> tuple[int | None, int | None]:
        """K^exp and K^rob from now on; None where the loss is never reached.

        Given numbers less the epochs done, down to 0 where they have passed; of losses the fewest, at least one, that
        bring down the loss as it is known now.
        """
        if not self.under_way(model, width):
            return model.epochs(width)
        if width.epochs is not None:
            given, behind = (width.epochs.expected, width.epochs.robust), self.behind(model, width)
            return max(given[0] - behind, 0), None if given[1] is None else max(given[1] - behind, 0)
        parts = [self.loss_parts(model, width, estimate) for estimate in ("expected", "robust")]
        limit = model.loss_limit
        counts = [None if part is None or limit is None else fewest_epochs(*part, limit) for part in parts]
        return counts[0], counts[1]

    def counted(self, model: Model, width: Width, epochs: int) -> int:
        """How many of the next epochs are paid for in the objective: the first K^exp from now on, at least one.

        Where K^exp has passed, or is not known, all of them: each that is planned is one that may still be needed.

        Parameters
        ----------
        epochs : that are planned from now on, at least 1.
        """
        expected = self.epochs(model, width)[0]
        return epochs if not expected else min(expected, epochs)

    def whole_epochs(self, model: Model, width: Width) -> int | None:
        """K by the estimate in force where it is given, from the beginning of the run; None where it has no end."""
        if width.epochs is None:
            return None
        if self.estimate == "chance":
            assert self.confidence is not None
            return width.epochs.at(self.confidence, self.behind(model, width))
        return width.epochs.expected if self.estimate == "expected" else width.epochs.robust

    def loss_parts(
        self, model: Model, width: Width, estimate: str
    ) -> tuple[tuple[float, ...], tuple[Change, ...]] | None:
        """Terms of the loss as it is known now, and its changes from now on; None where only K is known.

        The changes are gamma^update and gamma^run, a number for all epochs or one for each.

        Parameters
        ----------
        estimate : ``expected`` or ``robust``; of ``chance`` no losses are known.
        """
        parts = None if estimate == "chance" else model.loss_parts(width, estimate)
        start = self.start
        if parts is None or start is None or not self.under_way(model, width):
            return parts
        terms, changes = parts
        known = list(terms) if start.loss is None else [start.loss]
        for change in changes:
            if isinstance(change, float):
                known += [change] * (start.behind - start.seen)
            else:
                known += change[start.seen : start.behind].tolist()
        return tuple(known), tuple(c if isinstance(c, float) else c[start.behind :] for c in changes)

    def behind(self, model: Model, width: Width) -> int:
        """Epochs of a model at a width that are done."""
        return self.start.behind if self.start is not None and self.under_way(model, width) else 0
