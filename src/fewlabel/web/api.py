"""The HTTP API of a labelling session; the pages use nothing else."""

from typing import Annotated, Any, Literal
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from fewlabel.errors import DataError
from fewlabel.labelling.answers import MAX_NAME, Answer
from fewlabel.labelling.cards import Card, LookAlikes
from fewlabel.labelling.session import _Session
from fewlabel.web.api_base import Refusal

_MAX_ID, _MAX_ANNOTATOR = 10**9, 64

Image = Annotated[int, PathParameter(ge=0, le=_MAX_ID, description="Row of the image.")]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Names = Annotated[tuple[Name, ...], Field(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AnswerIn(_Body):
    """What somebody says of one image; ``labels`` is null where they skip it."""

    image: int = Field(ge=0, le=_MAX_ID)
    labels: Names | None
    seconds: float = Field(0.0, ge=0, le=86_400, allow_inf_nan=False)
    origin: Literal["typed", "confirmed", "group", "review"] = "typed"
    suggested: Names | None = None
    confidence: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    round: int = Field(0, ge=0, le=_MAX_ID)

    def answer(self) -> Answer:
        """Return it as the store keeps it."""
        return Answer(**self.model_dump())


class AnswersIn(_Body):
    """Answers that are stored together; ``again`` where an earlier try may have arrived.

    Images in ``left_out`` are not what the answers say: they are in no look-alikes of that label.
    """

    answers: list[AnswerIn] = Field(min_length=1, max_length=500)
    again: bool = False
    left_out: list[Annotated[int, Field(ge=0, le=_MAX_ID)]] = Field([], max_length=60)


class UndoIn(_Body):
    """What was answered last; without it, whatever that was."""

    image: int | None = Field(None, ge=0, le=_MAX_ID)


class ClassIn(_Body):
    """A new class."""

    name: Name


class ClassChange(_Body):
    """A class by the name that the page knows, and its new one; an existing one merges them."""

    old: Name
    name: Name


async def _session(request: Request) -> _Session:
    found: _Session = request.app.state.session
    return found


async def _annotator(
    request: Request, x_annotator: Annotated[str | None, Header(max_length=1_000)] = None
) -> str:
    """Return who asks; names beyond Latin letters come percent-encoded."""
    name = unquote(x_annotator or "", errors="replace").strip()
    if len(name) > _MAX_ANNOTATOR or not name.isprintable():
        raise HTTPException(422, f"A name has at most {_MAX_ANNOTATOR} printable characters.")
    return name or request.app.state.session.annotator


Here = Annotated[_Session, Depends(_session)]
PageId = Annotated[
    str,
    Header(
        alias="X-Page",
        max_length=64,
        pattern="^[A-Za-z0-9-]*$",
        description="By it two pages of one person, or of people without a name, are told apart.",
    ),
]
Who = Annotated[str, Depends(_annotator)]
router = APIRouter(responses={400: {"model": Refusal}})


@router.get("/api/state")
def state(session: Here, who: Who) -> dict[str, Any]:
    """Return progress, classes, accuracy and what the model is doing."""
    return session.state(who)


@router.get("/api/next")
def next_cards(
    session: Here, who: Who, n: Annotated[int, Query(ge=1, le=50)] = 2, page: PageId = ""
) -> list[Card]:
    """Return the next images to label."""
    return session.next(who, n, page)


@router.get("/api/group")
def group(
    session: Here, who: Who, n: Annotated[int, Query(ge=2, le=60)] = 24, page: PageId = ""
) -> LookAlikes | None:
    """Return images that look alike and probably have one label; null if there are none."""
    return session.group(who, n, page)


@router.delete("/api/leases", status_code=204)
def leave(session: Here, who: Who, page: PageId = "") -> None:
    """Let others have at once what this page was given and has not answered."""
    session.store.release(who, page)


@router.post("/api/answers")
def answers(session: Here, who: Who, body: AnswersIn) -> dict[str, Any]:
    """Store answers; they are on the disk when the response arrives."""
    given = [a.answer() for a in body.answers]
    stored = session.answer(who, given, again=body.again, left_out=body.left_out)
    return {"saved": len(body.answers), "ids": [a.id for a in stored]}


@router.post("/api/undo")
def undo(session: Here, who: Who, body: UndoIn | None = None) -> dict[str, Any]:
    """Take back the last answer, or the last group of answers."""
    undone = session.undo(who, None if body is None else body.image)
    if undone is None:
        return {"undone": None, "card": None}
    return {"undone": undone.id, "card": session.card(undone.image)}


@router.post("/api/classes")
def add_class(session: Here, body: ClassIn) -> dict[str, Any]:
    """Add a class; nothing happens if it exists."""
    return {"name": session.add_class(body.name), "classes": session.classes()}


@router.patch("/api/classes/{number}")
def rename_class(
    session: Here, number: Annotated[int, PathParameter(ge=0, le=_MAX_ID)], body: ClassChange
) -> dict[str, Any]:
    """Rename a class, or merge it into another one."""
    name = session.rename_class(number, body.old, body.name)
    return {"name": name, "classes": session.classes()}


@router.get("/api/images/{image}", responses={404: {"model": Refusal}})
def one_image(session: Here, image: Image) -> Card:
    """Return one image."""
    return session.card(_existing(session, image))


@router.get("/api/images/{image}/history", responses={404: {"model": Refusal}})
def history(session: Here, image: Image) -> list[Answer]:
    """Return who said what of an image, and when."""
    return session.store.history(_existing(session, image))


@router.get(
    "/images/{image}/{kind}",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "image/jpeg": {}}}, 404: {"model": Refusal}},
)
def picture(
    request: Request,
    session: Here,
    image: Image,
    kind: Literal["thumb", "full"],
    v: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Return the pixels of an image; ``v`` names its content, so that it can be kept."""
    try:
        data, media_type = request.app.state.thumbnails.get(_existing(session, image), kind)
    except DataError as error:
        raise HTTPException(404, str(error)) from None
    kept = "private, max-age=31536000, immutable" if v else "no-cache"
    return Response(data, media_type=media_type, headers={"cache-control": kept})


def _existing(session: _Session, image: int) -> int:
    if image >= len(session.images):
        raise HTTPException(404, "There is no such image.")
    return image
