"""What the review page asks for about people: who answered, and where they disagree."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request

from fewlabel.labelling.people import Summary, _People
from fewlabel.labelling.sheets import Sheet
from fewlabel.web.api import Who, _Body
from fewlabel.web.api_base import Refusal
from fewlabel.web.api_review import Page

How = Literal["majority", "crowd"]


class SettleIn(_Body):
    """Settle what people disagree on."""

    how: How = "majority"


async def _people(request: Request) -> _People:
    found: _People = request.app.state.people
    return found


Here = Annotated[_People, Depends(_people)]
router = APIRouter(responses={400: {"model": Refusal}})


@router.get("/api/people")
def people(here: Here) -> Summary:
    """Return who has answered, how far they agree, and what the table holds where they do not."""
    return here.summary()


@router.get("/api/people/disputed")
def disputed(here: Here, how: How = "majority", page: Page = 0) -> Sheet:
    """Return images on which people disagree; the suggestion is their consensus."""
    return here.disputed(how, page)


@router.post("/api/people/settle")
def settle(here: Here, who: Who, body: SettleIn) -> dict[str, int]:
    """Settle all of them by the consensus; one undo takes it back."""
    return {"saved": here.settle(who, body.how)}
