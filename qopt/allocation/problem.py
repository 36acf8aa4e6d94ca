"""Allocation: which format each group of weights takes, as a table of damage and of what it uses says.

Mixed precision as most tools state it: a multiple-choice knapsack, such as HAWQ-V3's integer program (Yao et al., ICML
2021). A group (a tensor, a layer, a block) has a menu of formats; each costs damage (a
Hessian trace times an error, a divergence, a loss: any table) and uses resources (bytes, bit operations, latency,
energy). One format is chosen for each group:

    minimise  sum_g damage[g, f_g]  subject to  fixed_k + sum_g use_k[g, f_g] <= budget_k  for every resource k

or the other way round: the least of one resource within a damage. Scales and zero points belong into the table of
bytes: formats need not be whole bits a weight, and a budget counts what a plan really takes.

Options: *ties* (groups that must take the same format), *pools* (device and host memory: an item is then a format and
the pool that holds it), *interactions* (damage of pairs that is not the sum of each one's).

Units are the table's own. A resource whose numbers are all whole (bytes) is counted in whole numbers: its budget is
kept to the last unit. Other budgets have the relative slack of every limit, 1e-12.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.checks import check_length, twice, unknown
from qopt.core.columns import AmountTable, TableRows, complaint
from qopt.core.errors import InputError, shown
from qopt.core.problem import Amount, Frozen, Problem

Name = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
Names = tuple[Name, ...]
Signed = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False, strict=True)]

DAMAGE = "damage"
"""What is minimised unless a resource is; no resource may be called so."""

MOST_WHOLE = 2.0**50
"""Sums of whole numbers up to this are told apart by more than rounding wherever they meet floats: a petabyte."""

FAR_OFF = 8.0
"""A budget so many times below the lightest plan, or above the heaviest, is taken for one in another unit."""

UNITS = (8.0, 1000.0, 1024.0, 1e6, 2.0**20, 1e9, 2.0**30)
"""By which units of one resource differ: bits and bytes, kilo, kibi, and so on."""


class Resource(Frozen):
    """What formats use.

    Attributes
    ----------
    use : (n, k) of each group in each format; null where the format is not on the group's menu.
    budget : what a plan may use in all, `fixed` included; none given is no limit.
    fixed : what everything else takes, whatever the plan: tensors that stay as they are.
    unit : for people.
    """

    use: AmountTable
    budget: Amount | None = None
    fixed: Amount = 0.0
    unit: Annotated[str, Field(max_length=40, strict=True)] = ""


class Pools(Frozen):
    """Places that share one resource: device and host memory.

    Attributes
    ----------
    resource : which resource they hold.
    budgets : how much each pool holds, by name; null for no limit. What is fixed lies in the first.
    use : what a format uses of other resources in some pool, where that is not the same in all (latency in host
        memory): rows as in `Resource.use`, by resource and pool.
    """

    resource: Name
    budgets: Annotated[dict[Name, Amount | None], Field(min_length=1, max_length=64)]
    use: dict[Name, dict[Name, AmountTable]] = Field(default={})


class Interaction(Frozen):
    """Damage of a pair beyond the sum of each one's: rows are formats of the first group, columns of the second.

    Entries that either menu lacks count for nothing and may be null.

    Attributes
    ----------
    groups : names of the two.
    damage : (k, k) what the two do together less the sum of each one's; of either sign.
    """

    groups: Annotated[Names, Field(min_length=2, max_length=2)]
    damage: TableRows


class Allocation(Problem):
    """Minimise damage within budgets, or one resource within a damage, over the format of every group.

    A multiple-choice knapsack, as in HAWQ-V3's integer program (Yao et al., ICML 2021).

    Attributes
    ----------
    groups, formats : their names; n and k.
    damage : (n, k) of each group in each format; null where the format is not on its menu.
    resources : what formats use, by name.
    minimise : ``damage``, or the name of a resource.
    damage_limit : how much damage a plan may do, where a resource is minimised.
    ties : lists of groups that take the same format, and lie in the same pool.
    pools : places that hold the groups; without them there is one.
    interactions : damage of pairs.
    """

    format: Literal["qopt/allocation"] = "qopt/allocation"
    version: Literal[1] = 1
    groups: Annotated[Names, Field(min_length=1, max_length=1_000_000)]
    formats: Annotated[Names, Field(min_length=1, max_length=10_000)]
    damage: TableRows
    resources: dict[Name, Resource] = Field(default={})
    minimise: Name = DAMAGE
    damage_limit: Signed | None = None
    ties: tuple[Names, ...] = ()
    pools: Pools | None = None
    interactions: tuple[Interaction, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for where, names in ((".groups", self.groups), (".formats", self.formats)):
            again = twice(names)
            if again is not None:
                raise complaint(where, f"{shown(again)} twice", "names that differ")
        if self.damage.shape != (len(self.groups), len(self.formats)):
            self._check_shape(".damage", self.damage)
        if not self.menu.any(axis=1).all():
            at = int(np.argmin(self.menu.any(axis=1)))
            raise complaint(f".damage[{at}]", "no format", f"at least one format on the menu of {self.groups[at]}")
        self._check_resources()
        self._check_objective()
        self._check_ties()
        self._check_pools()
        self._check_interactions()
        self._check_budgets()
        return self

    def _check_shape(self, where: str, rows: FloatArray) -> None:
        check_length(where, rows, len(self.groups), "group")
        if rows.shape[1] != len(self.formats):
            raise complaint(where, f"rows of {rows.shape[1]} entries", f"{len(self.formats)}, one for each format")

    def _check_use(self, where: str, rows: FloatArray) -> None:
        """Refuse a table of another shape, and a format on a menu that says no size."""
        self._check_shape(where, rows)
        missing = self.menu & ~np.isfinite(rows)
        if missing.any():
            g, f = (int(x) for x in np.argwhere(missing)[0])
            found = f"null for {self.formats[f]}, which is on the menu of {self.groups[g]}"
            raise complaint(f"{where}[{g}][{f}]", found, "what it uses, or null in damage too")

    def _check_resources(self) -> None:
        for name, resource in self.resources.items():
            if name == DAMAGE:
                raise complaint(".resources", shown(name), "a name other than that of what is minimised")
            self._check_use(f".resources.{name}.use", resource.use)

    def _check_objective(self) -> None:
        known = (DAMAGE, *self.resources)
        if self.minimise not in known:
            raise unknown(".minimise", self.minimise, known, "what is minimised")
        if self.minimise == DAMAGE and self.damage_limit is not None:
            raise complaint(".damage_limit", f"{self.damage_limit:g}", "nothing: damage is what is minimised")
        if self.minimise != DAMAGE and self.damage_limit is None:
            raise complaint(
                ".damage_limit", "nothing", f"how much damage is allowed, since {self.minimise} is minimised"
            )

    def _check_ties(self) -> None:
        for t, tie in enumerate(self.ties):
            for name in tie:
                if name not in self.place:
                    raise unknown(f".ties[{t}]", name, self.groups, "a group")
            if len(tie) < 2:
                raise complaint(f".ties[{t}]", shown(tie), "two groups or more")
            if not self.menu[[self.place[name] for name in tie]].all(axis=0).any():
                raise complaint(f".ties[{t}]", "menus without a format in common", "groups that share a format")
        again = twice(name for tie in self.ties for name in tie)
        if again is not None:
            raise complaint(".ties", f"{shown(again)} twice", "each group in one tie at most")

    def _check_pools(self) -> None:
        if self.pools is None:
            return
        if self.pools.resource not in self.resources:
            raise unknown(".pools.resource", self.pools.resource, tuple(self.resources), "a resource")
        for resource, tables in self.pools.use.items():
            where = f".pools.use.{resource}"
            if resource == self.pools.resource or resource not in self.resources:
                others = tuple(name for name in self.resources if name != self.pools.resource)
                raise unknown(where, resource, others, "a resource that the pools do not hold")
            for pool, rows in tables.items():
                if pool not in self.pools.budgets:
                    raise unknown(where, pool, tuple(self.pools.budgets), "a pool")
                self._check_use(f"{where}.{pool}", rows)

    def _check_interactions(self) -> None:
        for i, pair in enumerate(self.interactions):
            for name in pair.groups:
                if name not in self.place:
                    raise unknown(f".interactions[{i}].groups", name, self.groups, "a group")
            where, (first, second) = f".interactions[{i}].damage", (self.place[name] for name in pair.groups)
            shape = (len(self.formats), len(self.formats))
            if pair.damage.shape != shape:
                raise complaint(
                    where, f"{pair.damage.shape[0]} x {pair.damage.shape[1]} entries", f"{shape[0]} x {shape[1]}"
                )
            if (np.isinf(pair.damage) & np.outer(self.menu[first], self.menu[second])).any():
                raise complaint(where, "null for formats that both menus have", "a number")
            if first == second:
                raise complaint(f".interactions[{i}].groups", f"{shown(pair.groups[0])} twice", "two groups")
        double = twice(frozenset(pair.groups) for pair in self.interactions)
        if double is not None:
            raise complaint(".interactions", f"the pair {', '.join(sorted(double))} twice", "each pair once")

    def _check_budgets(self) -> None:
        """Refuse budgets that no plan comes near: they are in another unit."""
        for name, resource in self.resources.items():
            if resource.budget is not None:
                self._check_unit(f".resources.{name}.budget", name, resource.budget, both=True)
        if self.pools is not None and all(budget is not None for budget in self.pools.budgets.values()):
            total = math.fsum(budget or 0.0 for budget in self.pools.budgets.values())
            self._check_unit(".pools.budgets", self.pools.resource, total, both=False)

    def _check_unit(self, where: str, name: str, budget: float, both: bool) -> None:
        low, high = self.range_of(name)
        below, above = budget < low / FAR_OFF, budget > high * FAR_OFF
        if not below and not (above and both):
            return
        unit = f" {self.resources[name].unit}".rstrip()
        found = f"{budget:.10g}{unit}, where plans use {low:.10g} to {high:.10g}"
        raise complaint(where, found, f"a budget in the table's unit{self.other_units(name, budget)}, or null for none")

    def other_units(self, name: str, budget: float) -> str:
        """Factors between units that bring a budget of resource `name` into range, in brackets; empty if none does."""
        low, high = self.range_of(name)
        factors = [*((f, f"{f:g} times more") for f in UNITS), *((1.0 / f, f"{f:g} times less") for f in UNITS)]
        near = [words for factor, words in factors if low <= budget * factor <= high]
        return f" (in range: {' or '.join(near[:2])})" if near and not low <= budget <= high else ""

    def with_budgets(self, **budgets: float | None) -> Self:
        """A copy with other budgets, by the names of resources; faster than `replace`, for many of them.

        Raises
        ------
        InputError
            No such resource, or a budget that is none.
        """
        for name in budgets:
            if name not in self.resources:
                raise InputError(f"budgets.{shown(name)}", "no such resource", ", ".join(self.resources))
        data: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        data["resources"] = {
            name: Resource(use=r.use, budget=budgets.get(name, r.budget), fixed=r.fixed, unit=r.unit)
            for name, r in self.resources.items()
        }
        data["best_known"] = None
        return type(self)(**data)

    def range_of(self, name: str) -> tuple[float, float]:
        """What the lightest and the heaviest formats use of the resource `name`, what is fixed included."""
        resource = self.resources[name]
        tables = [resource.use]
        if self.pools is not None and self.pools.resource != name:
            own = self.pools.use.get(name, {})
            tables = [own.get(pool, resource.use) for pool in self.pools.budgets]
        least = np.min([np.where(self.menu, t, math.inf).min(axis=1) for t in tables], axis=0)
        most = np.max([np.where(self.menu, t, -math.inf).max(axis=1) for t in tables], axis=0)
        return math.fsum([resource.fixed, *least.tolist()]), math.fsum([resource.fixed, *most.tolist()])

    def summary(self) -> list[str]:
        """Groups and formats, then what is minimised within which budgets."""
        extras = [(len(self.ties), "ties"), (len(self.interactions), "interactions")]
        more = "".join(f", {count} {words}" for count, words in extras if count)
        limits = [
            f"{name} at most {r.budget:.10g} {r.unit}".rstrip()
            for name, r in self.resources.items()
            if r.budget is not None
        ]
        if self.damage_limit is not None:
            limits.append(f"damage at most {self.damage_limit:g}")
        if self.pools is not None:
            limits += [
                f"{pool} at most {'anything' if budget is None else format(budget, '.10g')}"
                for pool, budget in self.pools.budgets.items()
            ]
        head = f"{len(self.groups)} groups, {len(self.formats)} formats{more}"
        return [head, f"least {self.minimise}" + (f", {', '.join(limits)}" if limits else "")]

    @property
    def layers(self) -> int:
        """How many groups there are."""
        return len(self.groups)

    @cached_property
    def place(self) -> dict[str, int]:
        """Index of each group by its name."""
        return {name: g for g, name in enumerate(self.groups)}

    @cached_property
    def menu(self) -> BoolArray:
        """(n, k) which formats are on which menu."""
        found: BoolArray = np.isfinite(self.damage)
        found.flags.writeable = False
        return found

    @cached_property
    def whole(self) -> dict[str, bool]:
        """Whether each resource comes in whole units, so that its sums and budgets are exact."""
        return {name: self._whole(name) for name in self.resources}

    def _whole(self, name: str) -> bool:
        resource = self.resources[name]
        others = self.pools.use.get(name, {}).values() if self.pools is not None else ()
        most = resource.fixed
        for table in (resource.use, *others):
            used = np.where(np.isfinite(table), table, 0.0)
            if not np.all(used == np.floor(used)):
                return False
            most += float(used.max(axis=1).sum())
        return float(resource.fixed).is_integer() and most <= MOST_WHOLE

    @property
    def pool_names(self) -> Names:
        """Names of the pools; one without a name where there are none."""
        return ("",) if self.pools is None else tuple(self.pools.budgets)
