"""When binary experts agree on an image: one claims it, and no other does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewlabel.errors import UsageError

AGREEMENTS = ("vote", "veto", "margin")
"""How experts agree; see `AgreementRule`."""

_CLAIM = 0.5
_NEARLY_ALL = 0.95
_FEWEST = 20


@dataclass(frozen=True)
class AgreementRule:
    """Which images the experts give a pseudo-label.

    Attributes
    ----------
    name : {"vote", "veto", "margin"}
        ``"veto"``: one expert claims the image with enough confidence, and no other one claims
        it at all. ``"vote"``: so, and the multi-class network says the same. ``"margin"``: the
        most confident expert is far enough ahead of the next one, whether that claims it or not.
    threshold : float
        Least confidence of the expert that claims.
    margin : float
        Least lead in confidence, for ``"margin"``.
    """

    name: str = "vote"
    threshold: float = 0.9
    margin: float = 0.5

    def judge(
        self, claims: np.ndarray, proba: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choose the images that the experts agree on.

        Parameters
        ----------
        claims : ndarray of shape (n, K)
            Calibrated probability by each expert that the image is of its class.
        proba : ndarray of shape (n, K)
            Class probabilities by the multi-class network.

        Returns
        -------
        accepted : ndarray of shape (n,), dtype bool
            Images agreed on.
        codes : ndarray of shape (n,), dtype int64
            Class of the most confident expert.
        confidence : ndarray of shape (n,)
            Its confidence.

        Examples
        --------
        >>> claims = np.array([[0.95, 0.1], [0.95, 0.6], [0.4, 0.3]])
        >>> AgreementRule("veto").judge(claims, claims)[0].tolist()
        [True, False, False]
        """
        codes = claims.argmax(axis=1)
        ranked = np.sort(claims, axis=1)
        first, second = ranked[:, -1], ranked[:, -2]
        accepted = first >= self.threshold
        if self.name == "margin":
            accepted &= first - second >= self.margin
        else:
            accepted &= second < _CLAIM
        if self.name == "vote":
            accepted &= codes == proba.argmax(axis=1)
        return accepted, codes, first

    def check(self, owner: str) -> None:
        """Refuse settings out of range.

        Parameters
        ----------
        owner : str
            Name of the estimator, for the message.

        Raises
        ------
        UsageError
            If the rule is unknown, or a number is not in (0, 1).
        """
        if self.name not in AGREEMENTS:
            raise UsageError(
                f"The 'agreement' parameter of {owner} must be one of {', '.join(AGREEMENTS)}. "
                f"Got {self.name!r} instead."
            )
        for name in ("threshold", "margin"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < 1:
                raise UsageError(
                    f"The {name!r} parameter of {owner} must be a float in (0, 1). "
                    f"Got {value!r} instead."
                )


def has_collapsed(codes: np.ndarray, shares: np.ndarray) -> bool:
    """Tell whether one class has swallowed nearly all pseudo-labels.

    Parameters
    ----------
    codes : ndarray of shape (m,)
        Classes of the accepted pseudo-labels.
    shares : ndarray of shape (K,)
        Shares of the classes among the labels.

    Returns
    -------
    bool
        True if nearly all are of one class that is not so common among the labels.

    Examples
    --------
    >>> has_collapsed(np.zeros(100, int), np.full(10, 0.1))
    True
    >>> has_collapsed(np.arange(100) % 10, np.full(10, 0.1))
    False
    """
    if len(codes) < _FEWEST:
        return False
    counts = np.bincount(codes, minlength=len(shares)) / len(codes)
    largest = int(counts.argmax())
    return bool(counts[largest] >= _NEARLY_ALL and shares[largest] < _NEARLY_ALL - 0.2)
