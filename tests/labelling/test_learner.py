import numpy as np

from fewlabel.labelling.learner import _look_alikes


def test_cut_clusters_fill_every_page_but_the_last_of_a_label():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(95, 6)).astype(np.float32)
    labels = np.array(["a"] * 50 + ["b"] * 40 + [""] * 5)
    confidence = np.r_[np.full(90, 0.9), np.full(5, 1.0)]
    confidence[3] = 0.2
    pages = _look_alikes(rows, labels, confidence, 20)
    assert sorted(len(page) for page in pages) == [9, 20, 20, 20, 20]
    seen = np.concatenate(pages)
    assert set(seen.tolist()) == set(range(90)) - {3}
