"""`qopt split`: a placement becomes files, one for each tier, and a manifest. All of them, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from qopt.core.errors import InputError, shown
from qopt.core.files import new_folder, write_text
from qopt.core.reading import read_json
from qopt.placement.plan import PlacementPlan
from qopt.placement.profile import PROCESSING, Profile, Source, read_profile
from qopt.runtime.folding import Folded, fold
from qopt.runtime.manifest import MANIFEST, Crossing, Part, Parts, check_free, file_digest, file_name
from qopt.runtime.network import short_name
from qopt.runtime.parts import Piece, cut, valid
from qopt.runtime.reading import weight_bytes
from qopt.runtime.sessions import LARGE, write_model

IDENTITY = "identity"
"""The operator that a profile has unless it says another; its file is the model as it is."""


def split_onnx(
    model: str | os.PathLike[str],
    plan: PlacementPlan | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    profile: Profile | str | os.PathLike[str] | None = None,
    optimize: bool = True,
    large: int = LARGE,
) -> Parts:
    """Cut a model along a placement: a file for each tier that runs something, and the manifest ``parts.json``.

    The parts together compute what the folded graph computes, bit for bit where the runtime rewrites nothing.

    Parameters
    ----------
    model : the ONNX file that was profiled, of the operator that the plan takes.
    plan : the tier of each operation, or a file with a plan or a solution.
    folder : to write; not there yet, or empty.
    shapes : of inputs, by name, where the file leaves them open: those that were profiled.
    profile : of this file; needed where the file is a quantized one, whose nodes are not the plan's operations.
    optimize : False where the file was profiled as it stands.
    large : bytes of weights from which a part keeps them in a file beside it.

    Returns
    -------
    The manifest.

    Raises
    ------
    InputError
        The plan or the profile is of another file, data would move both ways, or the folder has something in it.
    """
    decided = plan if isinstance(plan, PlacementPlan) else _placement(plan)
    known = profile if isinstance(profile, Profile) or profile is None else read_profile(profile)
    if shapes is None and known is not None:
        shapes = known.sizes[0]
    target = Path(folder)
    check_free(target)
    folded = fold(model, shapes, optimize=optimize)
    if known is not None and known.source.fingerprint != folded.model.fingerprint:
        raise InputError("profile", f"that of another file, {known.source.file}", f"a profile of {folded.name}")
    if known is not None and known.operator != decided.operator:
        raise InputError("plan.operator", shown(decided.operator), f"{known.operator}, of which the profile is")
    tiers = assigned(folded, decided, known)
    if known is None and decided.operator != IDENTITY:
        allowed = f"{IDENTITY}; of any other operator, the profile of this file (--profile)"
        raise InputError("plan.operator", shown(decided.operator), allowed)
    pieces = cut(folded, tiers)
    return _write(folded, decided, pieces, target, large)


def _placement(path: str | os.PathLike[str]) -> PlacementPlan:
    data = read_json(path)
    form = data.get("format") if isinstance(data, dict) else None
    if isinstance(data, dict) and form == "qopt/solution":
        data = data.get("plan")
        form = data.get("format") if isinstance(data, dict) else "a solution without a plan"
    if not isinstance(data, dict) or form != "qopt/placement-plan":
        raise InputError(f"{os.fspath(path)}: format", shown(form), "a placement's plan, or a solution with one")
    return PlacementPlan(**data)


def assigned(folded: Folded, plan: PlacementPlan, profile: Profile | None = None) -> dict[str, tuple[str, ...]]:
    """Tiers of each node, by the first tensor it writes.

    Parameters
    ----------
    folded : the model.
    plan : tiers of operations.
    profile : says which nodes work for which operation; without it each node is an operation.

    Raises
    ------
    InputError
        The plan, or the profile, is of another file.
    """
    rows = folded.network.operations
    allowed = f"a plan of {folded.name}"
    owners: dict[str, list[str]] = {row.name: [] for row in rows}
    own_nodes = {}
    if profile is not None:
        own_nodes = {own.name: own.nodes if profile.base else (own.name,) for own in profile.operations}
    names = {short_name(row.name): row.name for row in rows}
    processing = {own.name for own in profile.operations if own.kind in PROCESSING} if profile else set()
    for name, tier in plan.tiers.items():
        if name in processing or name in folded.network.inputs or name.startswith("post:"):
            continue  # what surrounds the model is no part of it
        if profile is not None and name not in own_nodes:
            raise InputError(f"plan.tiers.{name}", "an operation that the profile does not have", allowed)
        for node in own_nodes.get(name, (name,)):
            if node not in names:
                raise InputError(f"plan.tiers.{name}", f"an operation that {folded.name} does not have", allowed)
            owners[names[node]].append(tier)
    for row in rows:
        if not owners[row.name]:
            found = f"no tier for {shown(row.name)} of {folded.name}"
            hint = " (of a quantized file: --profile)" if profile is None and "Linear" in row.kind else ""
            raise InputError("plan.tiers", found, f"{allowed}{hint}")
    return {name: tuple(dict.fromkeys(tiers)) for name, tiers in owners.items()}


def _write(folded: Folded, plan: PlacementPlan, pieces: list[Piece], target: Path, large: int) -> Parts:
    """Everything into a new folder beside the target, which takes its place when complete."""
    parts = []
    with new_folder(target) as into:
        for number, piece in enumerate(pieces):
            file = file_name(number, piece.tier)
            write_model(piece.proto, into / file, large=large)
            valid(into / file, file)
            parts.append(
                Part(
                    tier=piece.tier,
                    file=file,
                    fingerprint=file_digest(into / file),
                    reads=piece.reads,
                    writes=piece.writes,
                    operations=len(piece.proto.graph.node),
                    weights=sum(weight_bytes(entry) for entry in piece.proto.graph.initializer),
                )
            )
        found = Parts(
            source=source_of(folded),
            operator=plan.operator,
            parts=tuple(parts),
            tensors=_crossing(folded, pieces),
            inputs=folded.network.inputs,
            outputs=folded.network.outputs,
        )
        write_text(into / MANIFEST, found.model_dump_json(indent=1) + "\n")
    return found


def source_of(folded: Folded) -> Source:
    """The file, by what is in it."""
    return Source(file=folded.model.file, fingerprint=folded.model.fingerprint, folded=folded.digest)


def _crossing(folded: Folded, pieces: list[Piece]) -> tuple[Crossing, ...]:
    found = []
    for piece in pieces:
        for name in piece.writes:
            readers = tuple(p.tier for p in pieces if name in p.reads and p is not piece)
            if readers:
                kind = folded.types[name]
                size = None if kind.fixed is None else kind.bytes(kind.fixed)
                found.append(
                    Crossing(
                        name=name, type=kind.type, shape=kind.shape, bytes=size, sender=piece.tier, readers=readers
                    )
                )
    return tuple(found)
