"""scikit-activeml: strategies that choose what to label.

Those that need a model start with a tenth of the labels at random, and ask for the rest in nine
rounds; labels of what was not asked for are not looked at.
"""

from functools import partial

import numpy as np
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import CoreSet, MaxHerding, ProbCover, TypiClust, UncertaintySampling
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROUNDS = 10


def _at_once(task, strategy):
    y = np.full(len(task.X), np.nan)
    if strategy is ProbCover:
        query = strategy(n_classes=int(task.n_classes), random_state=task.seed)
    else:
        query = strategy(random_state=task.seed)
    return lambda: query.query(X=task.X_unit, y=y, batch_size=task.n_labels)


def _in_rounds(task, method):
    truth = np.load(task.folder / "truth.npz")["pool"]
    model = SklearnClassifier(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
        classes=np.arange(int(task.n_classes)),
        random_state=task.seed,
    )
    query = UncertaintySampling(method=method, random_state=task.seed)

    def run():
        y = np.full(len(task.X), np.nan)
        batch = task.n_labels // ROUNDS
        asked = np.random.default_rng(task.seed).choice(len(y), batch, replace=False)
        for _ in range(ROUNDS - 1):
            y[asked] = truth[asked]
            new = query.query(X=task.X_unit, y=y, clf=model, batch_size=batch)
            asked = np.concatenate([asked, new])
        return asked

    return run


METHODS = {
    "TypiClust": partial(_at_once, strategy=TypiClust),
    "ProbCover": partial(_at_once, strategy=ProbCover),
    "CoreSet": partial(_at_once, strategy=CoreSet),
    "MaxHerding": partial(_at_once, strategy=MaxHerding),
    "margin sampling, 10 rounds": partial(_in_rounds, method="margin_sampling"),
}
