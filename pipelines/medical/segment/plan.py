"""What a run would do, said without segmenting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.medical.segment.cases import Task, list_tasks
from pipelines.medical.segment.memory import predicted_mib, resident_bytes
from pipelines.medical.segment.predict import Predictor


def foresee(paths: Sequence[Path], predictor: Predictor, out: Path) -> dict[str, Any]:
    """Cases with their shapes and predicted memory, from headers alone. Raises UserError if there is none."""
    tasks, skipped = list_tasks(paths, predictor.plan.channels)
    if not tasks:
        raise UserError(f"there is no volume in {', '.join(map(str, paths))}")
    base = resident_bytes()
    cases = [_case(task, predictor, base) for task in tasks]
    return {
        "cases": cases,
        "skipped": len(skipped),
        "out": str(out),
        "model": predictor.model.name,
        "labels": predictor.names,
        "network": predictor.plan.network.name,
        "device": str(predictor.model.device),
        "memory_mib": max((one["memory_mib"] or 0 for one in cases), default=0),
        "config": predictor.config.model_dump(mode="json"),
    }


def _case(task: Task, predictor: Predictor, base: float) -> dict[str, Any]:
    sizes = task.sizes
    memory = predicted_mib(predictor.case_bytes(sizes), base) if sizes else None
    problem = task.problem or ("" if sizes else "its header cannot be read; the run will say why")
    return {
        "case": task.name,
        "source": str(task.source),
        "shape": "x".join(map(str, sizes.shape)) if sizes else "",
        "memory_mib": memory,
        "memory": f"{memory:,} MiB" if memory else "",
        "problem": problem,
    }
