"""A study without data, for the tests of what all studies share."""

from fewlabel_experiments import protocol

CONFIG = """
goal_within = 0.5

[full]
data = "none"
seeds = [0, 1]

[quick]
seeds = [0]

[[goals]]
text = "better than one"
row = "two"
at_least = "one"
plus = 10

[[goals]]
text = "few flips"
row = "two"
measure = "flips"
at_most = "one"
times = 0.5
"""
PUBLISHED = """row,setting,model,accuracy,source
one,the first,coin,50,a paper
"""


class Coin(protocol.Study):
    """Rows whose accuracies are known beforehand; ``computed`` lists what was run."""

    measures = {"flips": "flips"}

    def __init__(self, folder):
        folder.mkdir()
        (folder / "config.toml").write_text(CONFIG)
        (folder / "published.csv").write_text(PUBLISHED)
        super().__init__("coin", "A coin", folder)
        self.computed = []
        self.opened = []
        # Row and seed at which a run is interrupted.
        self.fail_at = None

    def rows(self, config):
        def row(name, published, accuracy, **more):
            def compute(session):
                if self.fail_at == (name, session.seed):
                    raise KeyboardInterrupt
                self.computed.append((name, session.seed))
                session.work.get("coin", lambda: "a coin")
                return protocol.Outcome(accuracy + 0.02 * session.seed, {"flips": 10.0})

            return protocol.Row(name, f"setting {name}", "coin", 100, compute, published, **more)

        return [
            row("one", "one", 0.5),
            row("two", None, 0.6),
            row("default-100", None, 0.9, beyond=True),
        ]

    def session(self, config, settings, seed, progress):
        self.opened.append(seed)
        return protocol.Session(config, settings, seed, progress)


def record(row, seed, accuracy, **others):
    """Write down a row as a run does."""
    return {
        "row": row, "seed": seed, "accuracy": accuracy, "seconds": 2.0, "peak_mb": 100.0 + seed,
        "shared": {"kmeans": 10.0}, "commit": "abc", "extra": {"n_train": 50.0}, **others,
    }  # fmt: skip
