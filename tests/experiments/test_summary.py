import pytest

from fewlabel_experiments import protocol, summary, tables
from tests.experiments.examples import record


def test_means_and_spreads_over_the_seeds(coin):
    # Of two records of a seed the later counts.
    runs = [record("one", seed, accuracy) for seed, accuracy in ((0, 0.1), (0, 0.5), (1, 0.51))]
    runs.append(record("one", 2, 0.52))
    one, two, _ = summary.summarize(coin, coin.rows({}), runs)
    assert (one.published, round(one.mean, 6), round(one.sd, 6)) == (50, 51, 1)
    assert (one.least, one.seeds, one.peak_mb) == (50, (0, 1, 2), 102)
    assert (one.seconds, one.shared_seconds, one.extra) == (2, 10, {"n_train": 50})
    assert one.difference == pytest.approx(1)
    assert (two.published, two.mean, two.difference) == (None, None, None)


def test_other_data_are_not_compared_with_what_was_published(coin, monkeypatch):
    one = summary.summarize(coin, coin.rows({}), [record("one", 0, 0.5)], comparable=False)[0]
    assert (one.published, one.difference) == (None, None)
    # Nor on a page, where without ours.csv nothing is measured.
    found = summary.read_ours(coin, coin.rows({}))
    assert [s.mean for s in found] == [None] * 3
    assert found[0].published == 50
    monkeypatch.setattr(coin, "is_comparable", lambda settings: False)
    assert summary.read_ours(coin, coin.rows({}))[0].published is None


def test_rows_that_were_not_trained_long_enough_are_marked_and_not_compared(coin):
    runs = [record("one", 0, 0.5, extra={"last_doubling": gain}) for gain in (0.9, 1.1)]
    both = [summary.summarize(coin, coin.rows({}), [run, record("two", 0, 0.7)]) for run in runs]
    (whole, *_), (short, *_) = both
    assert (whole.reached, whole.difference, tables.spread(whole)) == (True, 0.0, "50.0")
    assert (short.reached, short.difference) == (None, None)
    assert tables.spread(short) == "50.0 (not converged)"
    # The goal of the other row is what this one has.
    assert [len(summary.check_goals(coin, found)) for found in both] == [1, 0]


def test_ours_csv_holds_all_that_the_tables_need(coin):
    rows = coin.rows({})
    runs = [record("one", seed, 0.5 + 0.01 * seed, commit=f"c{seed}") for seed in (0, 1)]
    runs.append(record("default-100", 0, 0.9, extra={"supervised_baseline": 0.8}))
    before = summary.summarize(coin, rows, runs)
    summary.write_ours(coin.folder / "ours.csv", before)
    after = summary.read_ours(coin, rows)
    assert [s.row.id for s in after if s.mean is not None] == ["one", "default-100"]
    assert after[0].commit == "c0 c1"
    assert tables.page(coin, after) == tables.page(coin, before)


def test_the_table_sets_published_beside_ours_and_the_default(coin):
    runs = [record("one", seed, 0.5 + 0.01 * seed) for seed in (0, 1)]
    runs.append(record("default-100", 0, 0.9, extra={"supervised_baseline": 0.8}))
    summaries = summary.summarize(coin, coin.rows({}), runs)
    assert tables.comparison(summaries) == [
        ("setting one", "coin", "100", "50", "49.5", "50.5 ± 0.7", "yes", "+0.5", "90.0"),
        ("setting two", "coin", "100", "–", "–", "–", "–", "–", "90.0"),
    ]
    # Shared work is counted once a seed.
    assert summary.total_seconds(runs) == 3 * 2 + 2 * 10
    assert tables.beyond(summaries) == [("100", "90.0", "80.0", "12")]
    assert tables.costs(summaries)[0] == (
        "setting one", "coin", "2.0", "10.0", "101", "–", "50",
    )  # fmt: skip


@pytest.mark.parametrize(("accuracy", "flips", "reached"), [(0.61, 2, "yes"), (0.59, 3, "no")])
def test_goals_are_compared_with_other_rows(coin, monkeypatch, accuracy, flips, reached):
    runs = [record("one", 0, 0.5, extra={"flips": 5.0})]
    runs.append(record("two", 0, accuracy, extra={"flips": flips}))
    one, two, _ = summary.summarize(coin, coin.rows({}), runs)
    results = summary.check_goals(coin, [one, two])
    assert (one.goal, one.reached, two.goal) == (49.5, True, 60)
    assert tables.goals(results, {"flips": "flips of a coin"}) == [
        ("better than one", "setting two", "coin", "accuracy %", "≥ 60.0", f"{100 * accuracy:.1f}",
         reached),
        ("few flips", "setting two", "coin", "flips of a coin", "≤ 2.5", f"{flips:.1f}", reached),
    ]  # fmt: skip
    summary.write_ours(coin.folder / "ours.csv", [one, two])
    assert ",50.00,49.50,yes,50.00," in (coin.folder / "ours.csv").read_text()
    assert f",,60.00,{reached}," in (coin.folder / "ours.csv").read_text()
    assert summary.check_goals(coin, [two]) == []
    found = summary.summarize(coin, coin.rows({}), runs, with_goals=False)
    assert found[0].goal is None
    # Of several rows the best counts.
    best = protocol.Goal("the best", "two", at_least=["one", "two"])
    monkeypatch.setattr(type(coin), "goals", [best])
    assert summary.check_goals(coin, [one, two])[0].bound == pytest.approx(100 * accuracy)


def test_columns_that_hold_nothing_are_left_out_and_a_bar_in_a_cell_is_no_column():
    lines = [("1", "–", "–"), ("2", "–", "3|4")]
    columns, cells = tables.filled(("a", "b", "c"), lines)
    assert (columns, cells) == (("a", "c"), [("1", "–"), ("2", "3|4")])
    assert tables.markdown(columns, cells).splitlines()[-1] == r"| 2 | 3\|4 |"
