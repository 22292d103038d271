"""Where the time of a recorded mail goes, layer by layer."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tools.bench.cast import ME, Writer
from tools.bench.contenders import Product
from tools.bench.speed import Load
from tools.bench.stage import Environment, Stage

_ROOT = Path(__file__).parents[2]
_OURS = (
    ("shared/core/parsing/", "reading mail (core/parsing, nh3)"),
    ("shared/core/", "rules (core)"),
    ("shared/services/", "use cases (services)"),
    ("shared/repositories/", "documents (repositories)"),
    ("shared/gateways/memory/", "in-memory stores"),
    ("shared/gateways/", "our gateways"),
    ("gmail_simulator/", "simulated Gmail, not ours"),
)
_LIBRARIES = (
    (
        ("googleapiclient", "requests", "urllib3", "httplib2", "uritemplate"),
        "Gmail's client",
    ),
    (("email", "http", "urllib", "socket", "ssl"), "HTTP (standard library)"),
    (("json", "base64"), "JSON and base64"),
    (("google/cloud", "google/api_core", "google/auth"), "Firestore's client"),
    (("proto", "google/protobuf", "google/_upb"), "protobuf"),
    (("grpc",), "gRPC"),
    (("structlog", "logging"), "logging"),
    (("requests", "urllib3"), "requests"),
)


@dataclass(slots=True)
class Profile:
    """Milliseconds for one mail, by layer."""

    stage: str
    load: Load
    wall: float
    waiting: float
    layers: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Milliseconds in all, the profiler's own included."""
        return sum(self.layers.values())


def measure(environment: Environment, load: Load) -> Profile:
    """Profile the product under this load."""
    stage = environment.stage()
    product = Product(stage)
    writer, profiler = Writer(), cProfile.Profile(time.thread_time)
    wall = cpu = 0.0
    for number in range(-2, 2 * load.notifications):
        hint = _arrive(stage, writer, load.mails)
        if number >= load.notifications:
            profiler.runcall(product.handle, number, hint)
            continue
        began, cpu_began = time.perf_counter(), time.thread_time()
        product.handle(number, hint)
        if number >= 0:  # the first two only warm up
            wall += time.perf_counter() - began
            cpu += time.thread_time() - cpu_began
    each = 1000 / load.total
    profile = Profile(environment.name, load, wall * each, (wall - cpu) * each)
    return _read(profiler, profile)


def _arrive(stage: Stage, writer: Writer, mails: int) -> bytes:
    stage.post.hints()
    stage.post.arrive(writer.mails(mails), ME)
    return stage.post.hints()[-1]


def _read(profiler: cProfile.Profile, into: Profile) -> Profile:
    """Add up the functions' own times by the layer that they, or callers, are in."""
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    layers: dict[str, float] = defaultdict(float)
    for (file, _, _), (_, _, seconds, _, callers) in stats.items():
        each = seconds * 1000 / into.load.total
        layer = _layer(file)
        if layer is not None:
            layers[layer] += each
            continue
        # What is built in counts for its callers.
        total = sum(item[2] for item in callers.values()) or 1.0
        for (caller, _, _), item in callers.items():
            where = _layer(caller) or "the rest of Python"
            layers[where] += each * item[2] / total
    into.layers = dict(sorted(layers.items(), key=lambda layer: -layer[1]))
    return into


def _layer(file: str) -> str | None:
    """The layer of a function; None for what is built in."""
    if file in {"~", ""} or file.startswith("<"):
        return None
    if file.startswith(str(_ROOT)) and ".venv" not in file:
        local = str(Path(file).relative_to(_ROOT))
        return next(
            (name for at, name in _OURS if local.startswith(at)), "the benchmark"
        )
    inside = file.partition("site-packages/")[2] or file.partition("/python3")[2]
    inside = inside if "site-packages" in file else inside.partition("/")[2]
    for beginnings, layer in _LIBRARIES:
        if any(inside.startswith(beginning) for beginning in beginnings):
            return layer
    return "the rest of Python"
