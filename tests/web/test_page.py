"""Journeys through the labelling page in Chromium."""

from __future__ import annotations

from typing import Any

import pytest

from fewlabel.data import ImageSet
from fewlabel.labelling.session import _Session
from tests.web.browser import Open, saved, until
from tests.web.conftest import Make
from tests.web.stand_ins import Told

TRUTH = "0123456789"


def shown(page: Any) -> int:
    return int(page.inner_text("#name"))


def digits(make: Make, images: ImageSet, **options: Any) -> _Session:
    truth = [str(t) for t in images.truth]
    pages = [(c, tuple(i for i, t in enumerate(truth) if t == c)) for c in TRUTH]
    session = make(refitter=Told(truth), pages=pages, **options)
    for name in TRUTH:
        session.add_class(name)
    return session


def test_fifty_digits_by_keyboard(make: Make, digit_images: ImageSet, open_page: Open) -> None:
    session = digits(make, digit_images)
    page = open_page(session)
    for n in range(50):
        image = shown(page)
        # Random ones have no suggestion; of the others every second is typed.
        key = "Space" if image % 5 != 4 and n % 2 else digit_images.truth[image]
        page.evaluate(
            """async ([key, before]) => {
                    const start = performance.now();
                    const event = { key: key === "Space" ? " " : key, bubbles: true };
                    document.body.dispatchEvent(new KeyboardEvent("keydown", event));
                    const drawn = () => document.querySelector("#picture img")?.complete
                        && document.getElementById("name").textContent !== before;
                    while (!drawn()) {
                        if (performance.now() - start > 5000) throw new Error("no image");
                        await new Promise((done) => setTimeout(done, 1));
                    }
                }""",
            [key, str(image)],
        )
    saved(page)
    current = session.store.current()
    assert len(current) == 50
    assert all(labels == (digit_images.truth[i],) for i, labels in current.items())
    origins = {a.origin for i in current for a in session.store.history(i)}
    assert origins == {"typed", "confirmed"}
    assert page.inner_text("#count") == "50 of 1,797"


def test_an_answer_on_its_way_counts_once(make: Make, open_page: Open) -> None:
    session = make()
    session.add_class("moth")
    page = open_page(session)
    # The server has the answer, and counts it, before the page hears so.
    held: list[Any] = []
    page.route("**/api/answers", lambda route: held.append((route, route.fetch())))
    page.keyboard.press("o")
    until(page, lambda: len(held) == 1)
    with page.expect_response("**/api/state"):
        pass
    page.wait_for_timeout(50)
    assert (session.state()["n_labeled"], page.inner_text("#count")) == (1, "1 of 1,797")
    held[0][0].fulfill(response=held[0][1])
    saved(page)
    assert page.inner_text("#count") == "1 of 1,797"
    assert page.inner_html(".class .name") == "m<u>o</u>th"


def test_undo_comes_back_to_the_image(make: Make, digit_images: ImageSet, open_page: Open) -> None:
    session = digits(make, digit_images)
    page = open_page(session)
    for key in "123":
        page.keyboard.press(key)
    page.keyboard.press("u")
    assert shown(page) == 2
    page.keyboard.press("Backspace")
    assert shown(page) == 1
    saved(page)
    assert session.store.current() == {0: ("1",)}
    page.keyboard.press("7")
    saved(page)
    # The page is opened anew, and still knows what was last.
    page.reload()
    page.wait_for_selector("body[data-ready]")
    page.keyboard.press("u")
    until(page, lambda: shown(page) == 1)
    saved(page)
    assert session.store.current() == {0: ("1",)}


def test_a_group_is_confirmed_but_for_the_ticked(
    make: Make, digit_images: ImageSet, open_page: Open
) -> None:
    session = digits(make, digit_images)
    page = open_page(session)
    page.keyboard.press("g")
    page.wait_for_selector(".tile")
    assert page.locator(".tile").count() == 24
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    assert page.inner_text("#confirm-text") == "23 are 0"
    first, left_out = (
        page.get_attribute(".tile", "title"),
        page.get_attribute(".tile[aria-pressed=true]", "title"),
    )
    page.keyboard.press("Space")
    until(page, lambda: page.get_attribute(".tile", "title") != first)
    saved(page)
    # It is no 0, and nobody is asked at once whether it is one.
    assert page.locator(".tile").count() > 1
    assert left_out not in [tile.get_attribute("title") for tile in page.locator(".tile").all()]
    current = session.store.current()
    assert len(current) == 23
    assert set(current.values()) == {("0",)}
    assert {session.store.history(i)[0].origin for i in current} == {"group"}
    page.keyboard.press("u")
    saved(page)
    assert session.store.current() == {}


def test_several_labels_are_collected(make: Make, open_page: Open) -> None:
    session = make(several=True)
    for name in ("cat", "dog", "sofa"):
        session.add_class(name)
    page = open_page(session)
    for key in ("1", "d", "2", "2", "Enter"):
        page.keyboard.press(key)
    # None of them.
    page.keyboard.press("Enter")
    page.keyboard.press("m")
    page.keyboard.press("3")
    saved(page)
    assert session.store.current() == {0: ("cat", "dog"), 1: (), 2: ("sofa",)}


def test_classes_are_made_renamed_and_merged(make: Make, open_page: Open) -> None:
    session = make()
    page = open_page(session)
    # Without classes, the page begins with the name of one.
    for name in ("kat", "cat"):
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        page.keyboard.press("n")
    page.keyboard.press("Escape")
    page.wait_for_selector("#classes li:nth-child(2) [aria-keyshortcuts^='2']")
    page.keyboard.press("k")
    saved(page)
    page.get_by_role("button", name="Rename or merge kat").focus()
    page.keyboard.press("Enter")
    page.fill("#class-name", "cat")
    assert page.inner_text("#class-save") == "Merge"
    page.keyboard.press("Enter")
    until(page, lambda: page.locator("#classes li").count() == 1)
    saved(page)
    assert session.store.current() == dict.fromkeys(range(3), ("cat",))


def test_what_cannot_be_a_class_is_said_and_asked_again(make: Make, open_page: Open) -> None:
    session = make()
    page = open_page(session)
    page.keyboard.type("cat|dog")
    page.keyboard.press("Enter")
    until(page, lambda: "cannot be the name of a class" in page.inner_text("#toast"))
    until(page, lambda: page.locator("#classes li").count() == 0)
    # The answer is refused after its class.
    until(page, lambda: shown(page) == 0)
    saved(page)
    assert session.store.current() == {}


def test_answers_wait_for_a_server_that_is_away(make: Make, open_page: Open) -> None:
    session = make()
    session.add_class("a")
    page = open_page(session)
    # The page asks for the state by itself: from its first failure on, nothing slips through.
    with page.expect_event("requestfailed"):
        page.route("**/api/**", lambda route: route.abort())
    page.keyboard.press("a")
    page.keyboard.press("a")
    # Either key may arrive after the first has failed.
    until(page, lambda: page.inner_text("#saved") == "2 not saved yet")
    assert page.get_attribute("#saved", "data-state") == "away"
    assert shown(page) == 2
    assert session.store.current() == {}
    # Closing the page loses nothing.
    page.unroute("**/api/**")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.wait_for_selector("body[data-ready]")
    saved(page)
    assert session.store.current() == {0: ("a",), 1: ("a",)}
    assert len(session.store.history(0)) == 1


def test_suggestions_can_be_hidden(make: Make, digit_images: ImageSet, open_page: Open) -> None:
    session = digits(make, digit_images)
    page = open_page(session)
    assert page.inner_text("#confirm-text") == "0"
    page.get_by_role("button", name="Suggestions").click()
    assert page.is_disabled("#confirm")
    page.keyboard.press("Space")
    page.keyboard.press("0")
    saved(page)
    (answer,) = session.store.history(0)
    assert (answer.origin, answer.suggested, answer.confidence) == ("typed", None, None)


def test_a_new_round_brings_suggestions(
    make: Make, digit_images: ImageSet, open_page: Open
) -> None:
    session = digits(make, digit_images)
    told = session.refitter.round
    session.refitter.round = None
    page = open_page(session)
    assert page.is_disabled("#confirm")
    assert page.inner_text("#accuracy") == "–"
    session.refitter.round = told
    until(page, lambda: page.is_enabled("#confirm"))
    assert (shown(page), page.inner_text("#accuracy")) == (0, "91 %")
    page.keyboard.press("Space")
    assert page.inner_text("#confirm-text") == "1"


def test_two_people_at_once(make: Make, digit_images: ImageSet, open_page: Open) -> None:
    session = digits(make, digit_images)
    pages = [open_page(session, annotator=name) for name in ("Ann", "Ben")]
    for n in range(8):
        pages[n % 2].keyboard.press("5")
    for page in pages:
        saved(page)
    answers = [a for i in session.store.current() for a in session.store.history(i)]
    assert sorted(a.annotator for a in answers) == ["Ann"] * 4 + ["Ben"] * 4
    assert len({a.image for a in answers}) == 8


def test_who_is_asked_beside_others_gives_a_name(make: Make, open_page: Open) -> None:
    session = make(repeats=2)
    page = open_page(session)
    page.keyboard.type("Ann")
    with page.expect_response("**/api/next*"):
        page.keyboard.press("Enter")
    page.wait_for_selector("#picture img")
    page.keyboard.press("n")
    page.keyboard.type("owl")
    page.keyboard.press("Enter")
    saved(page)
    assert {a.annotator for a in session.store.history(0)} == {"Ann"}
    # Nothing is held for who had no name, and what Ann has answered is for Ben.
    assert shown(open_page(session, annotator="Ben")) == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_and_nothing_is_cut_off(
    make: Make, digit_images: ImageSet, open_page: Open, width: int
) -> None:
    page = open_page(
        digits(make, digit_images), viewport={"width": width, "height": 800}, has_touch=width < 500
    )
    places = """() => ["view", "confirm", "undo", "skip", "classes", "accuracy", "curve"]
        .map((id) => document.getElementById(id).getBoundingClientRect())
        .map((box) => [box.x, box.y, box.width, box.height].map(Math.round).join())"""
    before = page.evaluate(places)
    for key in "01239":
        page.keyboard.press(key)
        assert page.evaluate(places) == before
    assert page.evaluate("document.documentElement.scrollWidth") == width
    small = """() => [...document.querySelectorAll("button:not([hidden])")]
        .map((b) => [b.id || b.className, b.getBoundingClientRect()])
        .filter(([, box]) => box.width && (box.width < 36 || box.height < 36)).map(([id]) => id)"""
    assert page.evaluate(small) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(
    make: Make, digit_images: ImageSet, open_page: Open, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(digits(make, digit_images), color_scheme=scheme)
    page.wait_for_timeout(300)
    for key in ("", "g", "?"):
        if key:
            page.keyboard.press(key)
            page.wait_for_timeout(300)
        found = axe.Axe().run(page).response["violations"]
        bad = [f for f in found if f["impact"] in ("serious", "critical")]
        told = [(f["id"], [node["html"][:90] for node in f["nodes"][:3]]) for f in bad]
        assert told == []
