"""What is kept of each round of the model: its learning curve and histories outlive the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from fewlabel.evaluate import AccuracyEstimate
from fewlabel.labelling.schema import rounds

Point = tuple[int, float, float, float]
"""Labels, accuracy and the ends of its interval."""


@dataclass(frozen=True)
class PastRound:
    """A round of the model.

    Attributes
    ----------
    number : int
        Its number; where several machines learn from one database, two may have the same.
    at : datetime
        When it was there.
    n_labels : int
        Labels that it learned from.
    value, low, high : float or None
        Estimated accuracy and its interval; None where nothing was known of it.
    """

    number: int
    at: datetime
    n_labels: int
    value: float | None
    low: float | None
    high: float | None

    @property
    def point(self) -> Point:
        """The same for the learning curve, NaN where nothing was known."""
        known = [math.nan if v is None else v for v in (self.value, self.low, self.high)]
        return self.n_labels, *known  # type: ignore[return-value]


def _keep(connection: Connection, number: int, n_labels: int, found: AccuracyEstimate) -> None:
    """Add a round."""
    values = {"value": found.value, "low": found.low, "high": found.high}
    known = {name: float(v) if math.isfinite(v) else None for name, v in values.items()}
    row = {"number": number, "at": datetime.now(UTC), "n_labels": n_labels}
    connection.execute(rounds.insert(), row | known)


def _kept(connection: Connection) -> list[PastRound]:
    """Return all rounds, the first one first."""
    rows = connection.execute(rounds.select().order_by(rounds.c.id)).all()
    return [PastRound(r.number, _in_utc(r.at), r.n_labels, r.value, r.low, r.high) for r in rows]


def _in_utc(at: datetime) -> datetime:
    """Return a time with its zone, which SQLite does not keep."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
