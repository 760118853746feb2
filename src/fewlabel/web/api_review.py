"""What the review page asks for of images and people, beside the API of the labelling page."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from fewlabel.labelling.answers import MAX_NAME
from fewlabel.labelling.cards import Confusion, Offer, Opinion, Sheet, _Wanted
from fewlabel.labelling.database import PastRound
from fewlabel.labelling.people import Summary, _People
from fewlabel.labelling.review import MAX_ERROR, _Review
from fewlabel.web.api import _MAX_ID, Image, Who, _Body, _existing
from fewlabel.web.api_base import Refusal

Page = Annotated[int, Query(ge=0, le=1_000_000, description="From 0.")]
Class = Annotated[int | None, Query(ge=0, le=_MAX_ID, description="Number of a class.")]
Fraction = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)]
Error = Annotated[float, Query(gt=0, lt=1, allow_inf_nan=False)]
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Refusal}}


class AcceptIn(_Body):
    """Accept what is sure enough, as round ``round`` of the model predicts it."""

    round: int = Field(ge=1, le=_MAX_ID)
    max_error: float = Field(MAX_ERROR, gt=0, lt=1, allow_inf_nan=False)


async def _review(request: Request) -> _Review:
    found: _Review = request.app.state.review
    return found


Here = Annotated[_Review, Depends(_review)]
router = APIRouter(responses={400: {"model": Refusal}})


@router.get("/api/images", responses=_MISSING)
def images(
    review: Here,
    predicted: Annotated[int | None, Query(alias="class", ge=0, le=_MAX_ID)] = None,
    not_predicted: Annotated[int | None, Query(alias="not_class", ge=0, le=_MAX_ID)] = None,
    label: Class = None,
    not_label: Class = None,
    min_confidence: Fraction = 0.0,
    max_confidence: Fraction = 1.0,
    source: Literal["", "label", "propagated", "model", "tested"] = "",
    round: Annotated[int | None, Query(ge=1, le=_MAX_ID)] = None,
    order: Literal["unsure", "sure", "name"] = "unsure",
    annotator: Annotated[str, Query(max_length=MAX_NAME)] = "",
    page: Page = 0,
) -> Sheet:
    """Return images by what the model says of them, and by their labels."""
    names, numbers = review.session.store.classes(), (predicted, not_predicted, label, not_label)
    if any(k is not None and k >= len(names) for k in numbers):
        raise HTTPException(404, "There is no such class.")
    by, not_by, has, lacks = (None if k is None else names[k] for k in numbers)
    low, high = min_confidence, max_confidence
    wanted = _Wanted(by, not_by, has, lacks, low, high, source, round, order, annotator)
    return review.images(wanted, page)


@router.get("/api/review/rounds")
def rounds(review: Here) -> list[int]:
    """Return the rounds of the model whose predictions are kept, the last one first."""
    return review.rounds


@router.get("/api/rounds")
def past_rounds(review: Here) -> list[PastRound]:
    """Return all rounds of the model, also those before a restart: when, and how good it was."""
    return review.session.store.rounds()


@router.get("/api/review/confusion")
def confusion(review: Here) -> Confusion:
    """Return which classes are taken for which by models that have not seen the labels."""
    return review.confusion()


@router.get("/api/review/suspicious")
def suspicious(review: Here, page: Page = 0) -> Sheet:
    """Return labels that are worth another look, the most doubtful first."""
    return review.suspicious(page)


@router.get("/api/review/duplicates")
def duplicates(review: Here, page: Page = 0) -> Sheet:
    """Return copies and near-copies whose labels differ, pair by pair."""
    return review.duplicates(page)


@router.get("/api/review/offer")
def offer(review: Here, max_error: Error = MAX_ERROR) -> Offer:
    """Return what can be accepted without a look if so few may be wrong."""
    return review.offer(max_error)


@router.post("/api/review/accept")
def accept(review: Here, who: Who, body: AcceptIn) -> dict[str, int]:
    """Label what is sure enough as predicted; one undo takes it back."""
    return {"saved": review.accept(who, body.round, body.max_error)}


@router.get("/api/images/{image}/opinions", responses=_MISSING)
def opinions(review: Here, image: Image) -> list[Opinion]:
    """Return what the model said of an image, round by round."""
    return review.opinions(_existing(review.session, image))


@router.get(
    "/api/images/{image}/explanation",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, 202: {"model": Refusal}, **_MISSING},
)
def explanation(review: Here, image: Image) -> Response:
    """Return what the model looked at as a picture; 202 while it is made: ask again."""
    picture = review.explanation(_existing(review.session, image))
    if picture is None:
        doing = review.session.refit()
        part = f": {doing['done'] / doing['total']:.0%}" if doing["total"] else ""
        why = "The model is learning; the picture comes after it." if doing["running"] else ""
        return JSONResponse({"detail": why or f"The picture is being made{part}."}, 202)
    return Response(picture, media_type="image/png")


How = Literal["majority", "crowd"]


class SettleIn(_Body):
    """Settle what people disagree on."""

    how: How = "majority"


async def _people(request: Request) -> _People:
    found: _People = request.app.state.people
    return found


People = Annotated[_People, Depends(_people)]


@router.get("/api/people")
def people(here: People) -> Summary:
    """Return who has answered, how far they agree, and what the table holds where they do not."""
    return here.summary()


@router.get("/api/people/disputed")
def disputed(here: People, how: How = "majority", page: Page = 0) -> Sheet:
    """Return images on which people disagree; the suggestion is their consensus."""
    return here.disputed(how, page)


@router.post("/api/people/settle")
def settle(here: People, who: Who, body: SettleIn) -> dict[str, int]:
    """Settle all of them by the consensus; one undo takes it back."""
    return {"saved": here.settle(who, body.how)}
