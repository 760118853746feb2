"""The methods that the study compares."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel import (
    BinaryExperts,
    FewLabelClassifier,
    GraphPropagation,
    NetworkClassifier,
    extract_features,
)
from fewlabel.data import image_set_from_array
from fewlabel.semisupervised.acceptance import AgreementRule

from ..protocol import Outcome
from .measured import Meter, PseudoLabels, measure
from .session import ExpertsSession, Task


def supervised(session: ExpertsSession, task: Task) -> Outcome:
    """Train the multi-class network on the given labels: the supervised baseline."""
    meter = Meter()
    model = _multiclass(session, task, meter)
    pseudo = _by_network(model, task, meter, threshold=2.0)
    return _outcome(session, task, model.predict(task.test_images), pseudo, meter)


def one_versus_all(session: ExpertsSession, task: Task, sampling: str) -> Outcome:
    """Train one binary network a class from scratch, on labels, then on pseudo-labels as well."""
    meter = Meter()
    rng = np.random.default_rng([session.seed, 13])
    with meter.timed():
        models = []
        for code in range(task.n_classes):
            rows = _sampled(task.labeled, task.y[task.labeled] == code, sampling, rng)
            model = session.network(len(rows), code)
            models.append(_fit_binary(model, task.images, rows, task.y == code, meter))
        votes = _votes(models, task.images[task.pool])
        meter.n_predicted += task.n_classes * len(task.pool)
        rule = AgreementRule("veto", session.config["threshold"])
        accepted, codes, confidence = rule.accept(votes, votes)
        pseudo = PseudoLabels(codes, confidence, accepted)
        known = task.y.copy()
        known[task.pool[accepted]] = codes[accepted]
        everything = np.flatnonzero(known >= 0)
        again = []
        for code, model in enumerate(models):
            rows = _sampled(everything, known[everything] == code, sampling, rng)
            further = _further(session, model, len(rows))
            again.append(_fit_binary(further, task.images, rows, known == code, meter))
    for model in again:
        meter.keep(model.network_)
    predicted = _votes(again, task.test_images).argmax(axis=1)
    return _outcome(session, task, predicted, pseudo, meter)


def own_predictions(session: ExpertsSession, task: Task) -> Outcome:
    """Train the multi-class network on, on its own most confident predictions."""
    meter = Meter()
    model = _multiclass(session, task, meter)
    pseudo = _by_network(model, task, meter, session.config["threshold"])
    rows = task.pool[pseudo.accepted]
    codes = pseudo.codes[pseudo.accepted]
    # As the experts' network: a quarter of the rows are true labels.
    copies = max(1, round(len(rows) / 3 / len(task.labeled)))
    labeled = np.tile(task.labeled, copies)
    taken = np.concatenate([labeled, rows])
    targets = np.eye(task.n_classes)[np.concatenate([task.y[labeled], codes])]
    weights = np.concatenate([np.ones(len(labeled)), np.full(len(rows), 0.7)])
    with meter.timed():
        further = _further(session, model, len(taken))
        classes = np.arange(task.n_classes)
        further.fit_soft(task.images[taken], targets, sample_weight=weights, classes=classes)
    meter.trained(further, len(taken))
    return _outcome(session, task, further.predict(task.test_images), pseudo, meter)


def experts(session: ExpertsSession, task: Task, **settings: Any) -> Outcome:
    """Train on what binary experts agree on."""
    meter = Meter()
    config = session.config
    template = session.network(len(task.labeled), 0, random_state=None)
    model = BinaryExperts(
        template,
        **{
            "threshold": config["threshold"],
            "retrain_steps": config["retrain_steps"],
            "max_rounds": config["max_rounds"],
            "random_state": session.seed,
        }
        | settings,
    )
    with meter.timed():
        model.fit(task.images, task.y)
        pseudo = _by_experts(model, task)
    _count_experts(model, task, config, meter)
    outcome = _outcome(session, task, model.predict(task.test_images), pseudo, meter)
    outcome.extra["rounds"] = float(model.n_rounds_)
    return outcome


def experts_of_the_graph(session: ExpertsSession, task: Task) -> Outcome:
    """Start the experts from labels that were spread over the graph of pixels."""
    flat = task.images.reshape(len(task.images), -1).astype(np.float32) / 255
    graph = GraphPropagation().fit(flat, task.y)
    proba = graph.label_distributions_
    confident = (task.y < 0) & (proba.max(axis=1) >= np.quantile(proba[task.pool].max(axis=1), 0.8))
    started = np.where(confident, proba.argmax(axis=1), task.y)
    begun = Task(task.images, started, task.truth, task.test_images, task.test_y)
    return experts(session, begun)


def default(session: ExpertsSession, task: Task) -> Outcome:
    """Return the task to fewlabel's main job."""
    meter = Meter()
    images = image_set_from_array(task.images)
    with meter.timed():
        prepared = extract_features(images, seed=session.seed)
        model = FewLabelClassifier(random_state=session.seed).fit(prepared.rows, task.y)
    proba = model.label_distributions_[task.pool]
    confidence = proba.max(axis=1)
    accepted = confidence >= session.config["threshold"]
    pseudo = PseudoLabels(model.classes_[proba.argmax(axis=1)], confidence, accepted)
    rows = prepared.extractor.transform(image_set_from_array(task.test_images))
    return _outcome(session, task, model.predict(rows), pseudo, meter)


def _multiclass(session: ExpertsSession, task: Task, meter: Meter) -> NetworkClassifier:
    model = session.network(len(task.labeled), 0)
    with meter.timed():
        model.fit(task.images[task.labeled], task.y[task.labeled])
    meter.trained(model, len(task.labeled))
    meter.keep(model.network_)
    return model


def _by_network(
    model: NetworkClassifier, task: Task, meter: Meter, threshold: float
) -> PseudoLabels:
    with meter.timed():
        proba = model.predict_proba(task.images[task.pool])
    meter.n_predicted += len(task.pool)
    confidence = proba.max(axis=1)
    codes = model.classes_[proba.argmax(axis=1)]
    return PseudoLabels(codes, confidence, confidence >= threshold)


def _by_experts(model: BinaryExperts, task: Task) -> PseudoLabels:
    """Return the pseudo-labels of the last round that was kept, and the confidence of all."""
    accepted = np.zeros(len(task.images), dtype=bool)
    accepted[model.accepted_[model.n_rounds_][0]] = True
    if model.experts_ is None:
        proba = model.predict_proba(task.images[task.pool])
        codes = model.classes_[proba.argmax(axis=1)]
        return PseudoLabels(codes, proba.max(axis=1), accepted[task.pool])
    votes = model.expert_proba(task.images[task.pool])
    ranked = np.sort(votes, axis=1)
    # A second expert for the same image lowers the confidence, however confident the first is.
    confidence = ranked[:, -1] * (1 - ranked[:, -2])
    return PseudoLabels(model.classes_[votes.argmax(axis=1)], confidence, accepted[task.pool])


def _count_experts(model: BinaryExperts, task: Task, config: dict[str, Any], meter: Meter) -> None:
    """Count the images of every training of the experts' rounds."""
    n_labeled, batch = len(task.labeled), config["batch"]
    n_rounds = len(model.rounds_) - 1
    meter.n_trained += config["steps"] * min(batch, n_labeled)
    for record in model.rounds_[1:]:
        meter.n_trained += max(config["retrain_steps"] * batch, record.n_accepted)
        meter.n_trained += model.expert_epochs * n_labeled
    last = model.rounds_[model.n_rounds_]
    meter.n_trained += max(config["retrain_steps"] * batch, last.n_accepted)
    # The experts and the network predict every unlabeled image in each round.
    meter.n_predicted += 2 * n_rounds * len(task.pool)
    meter.keep(model.multiclass_.network_)
    if model.experts_ is not None:
        meter.keep(model.experts_)


def _sampled(
    rows: np.ndarray, mine: np.ndarray, sampling: str, rng: np.random.Generator
) -> np.ndarray:
    """Return the rows that a binary network is trained on."""
    own, others = rows[mine], rows[~mine]
    if sampling == "over-sampling" and len(own):
        own = np.concatenate([own, rng.choice(own, size=max(0, len(others) - len(own)))])
    elif sampling == "under-sampling":
        others = rng.choice(others, size=min(len(own), len(others)), replace=False)
    return np.concatenate([own, others])


def _fit_binary(
    model: NetworkClassifier,
    images: np.ndarray,
    rows: np.ndarray,
    mine: np.ndarray,
    meter: Meter,
) -> NetworkClassifier:
    targets = np.eye(2)[mine[rows].astype(int)]
    fitted = model.fit_soft(images[rows], targets, classes=np.arange(2))
    meter.trained(fitted, len(rows))
    return fitted


def _further(session: ExpertsSession, model: NetworkClassifier, n_rows: int) -> NetworkClassifier:
    """Prepare a network to be trained on, from its weights."""
    steps, batch = session.config["retrain_steps"], min(session.config["batch"], n_rows)
    n_epochs = max(1, round(steps * batch / n_rows))
    # The trunk goes on, with an order of rows and images of its own.
    seed = int(str(model.random_state)) + 500
    further = session.network(n_rows, 0, random_state=seed, min_steps=1, n_epochs=n_epochs)
    further.set_params(warm_start=True)
    further.network_ = model.network_
    return further


def _votes(models: list[NetworkClassifier], images: np.ndarray) -> np.ndarray:
    """Return the probability of each class by its own network."""
    return np.stack([model.predict_proba(images)[:, 1] for model in models], axis=1)


def _outcome(
    session: ExpertsSession,
    task: Task,
    predicted: np.ndarray,
    pseudo: PseudoLabels,
    meter: Meter,
) -> Outcome:
    return measure(task, predicted, pseudo, meter, session.config["coverage"])
