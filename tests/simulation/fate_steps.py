"""Steps of fate, and of the product at work."""

from __future__ import annotations

from tests.simulation.scene import Scene
from tests.simulation.workers import Delivery


class FateSteps(Scene):
    """Time, faults, and how deliveries meet."""

    def time_passes(self) -> None:
        """The clock jumps, also under the hands of workers, and back a little."""
        seconds = self.rng.choice((-4, 5, 15, 150, 900, 4000, 90_000, 700_000))
        self.tell(seconds, "seconds pass")
        self.stage.latest = max(self.stage.latest, self.stage.clock.now())
        self.stage.clock.advance(seconds=seconds)
        self.stage.world.tick()

    def renew(self) -> None:
        """The daily renewal."""
        self.tell("watches are renewed")
        self.ask(self._renew)

    def _renew(self) -> None:
        self.stage.services.watches.renew_all()

    def sweep(self) -> None:
        """The scheduled sweep, while others are at work (W2)."""
        silent = self.rng.choice((0, 60, 3600))
        self.tell("a sweep of what was silent for", silent)
        self.ask(lambda: self.stage.services.sweep.sweep_all(silent))

    def fault(self) -> None:
        """Something breaks for a while."""
        rng, faults = self.rng, self.stage.world.faults
        method = rng.choice(
            ("*", "gmail.users.messages.get", "gmail.users.history.list", "oauth.token")
        )
        action = rng.choice(
            (
                *("status", "status", "drop_before", "drop_after", "history_lag"),
                *("notification_drop", "notification_duplicate"),
                *("notification_delay", "notification_reorder"),
            )
        )
        rule: dict[str, object] = {"count": rng.choice((1, 2, 5)), "probability": 0.6}
        match action:
            case "status":
                rule |= {"method": method, "status": rng.choice((429, 500, 503))}
            case "drop_before" | "drop_after":
                rule |= {"method": method}
            case "history_lag":
                reports = rng.choice(("current", "visible"))
                rule |= {"seconds": 3600, "reports": reports}
            case "notification_delay":
                rule |= {"seconds": 120}
        self.tell("fault:", action, rule)
        self.stage.troubles += 1
        faults.add(action, **rule)

    # --- the product at work ---------------------------------------------------------

    def deliver(self) -> None:
        """One delivery, undisturbed or with a crash."""
        delivery = self._next()
        if delivery is None:
            return
        worker = self.stage.begin(delivery)
        self.trouble(worker)
        worker.shared = bool(self.stage.workers[1:])
        while not worker.dead:
            self.stage.go_on(worker)
        self.tell(
            "delivered", delivery.push.delivery, "crashed" if worker.crashed else ""
        )

    def side_by_side(self) -> None:
        """Some deliveries at the same time, call by call; perhaps not to their end."""
        for _ in range(3):
            if (delivery := self._next()) is not None:
                worker = self.stage.begin(delivery)
                self.trouble(worker)
                worker.shared = True
        workers = self.stage.workers
        self.tell("at once:", *(item.delivery.push.delivery for item in workers))
        for _ in range(self.rng.choice((5, 20, 80))):
            if not workers:
                return
            worker = self.rng.choice(workers)
            worker.shared = True
            self.stage.go_on(worker)

    def deliver_twice(self) -> None:
        """Pub/Sub delivers at least once."""
        delivery = self._next()
        if delivery is not None:
            self.tell("twice:", delivery.push.delivery)
            copy = Delivery(delivery.kind, delivery.push, delivery.due)
            self.stage.bag.append(copy)

    def _next(self) -> Delivery | None:
        return self.stage.next_due()
