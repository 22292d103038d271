"""Steps of fate, and of the product at work."""

from __future__ import annotations

from tests.simulation.scene import Scene
from tests.simulation.stage import MOST_CRASHES, Delivery, Worker


class FateSteps(Scene):
    """Time, faults, and how deliveries meet."""

    def time_passes(self) -> None:
        """The clock jumps, also under the hands of workers."""
        seconds = self.rng.choice((5, 15, 150, 900, 4000, 90_000, 700_000))
        self.tell(seconds, "seconds pass")
        self.stage.clock.advance(seconds=seconds)
        self.stage.world.tick()

    def renew(self) -> None:
        """The daily renewal."""
        self.tell("watches are renewed")
        self.stage.services.watches.renew_all()

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
        faults.add(action, **rule)

    # --- the product at work ---------------------------------------------------------

    def deliver(self) -> None:
        """One delivery, undisturbed or with a crash."""
        delivery = self._next()
        if delivery is None:
            return
        worker = self.stage.begin(delivery)
        self._trouble(worker)
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
                self._trouble(worker)
                worker.shared = True
        workers = self.stage.workers
        self.tell("at once:", *(one.delivery.push.delivery for one in workers))
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

    def _trouble(self, worker: Worker) -> None:
        chance = self.rng.random()
        if chance < 0.25 and self.stage.crashes < MOST_CRASHES:
            worker.dies_in = self.rng.randrange(60)
        elif chance < 0.35:
            worker.loses_in = self.rng.randrange(4)
