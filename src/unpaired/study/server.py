"""The study on the web: pages for participants, and an interface for their browsers.

What tells real from generated stays here. A browser learns random addresses of pictures whose files
are equally long, and after practice trials alone whether the answer was right.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Form, Query, Request
from fastapi import Path as PathPart
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.staticfiles import StaticFiles

from unpaired.errors import UserError
from unpaired.study.admin import admin_pages
from unpaired.study.design import read_design
from unpaired.study.guard import MTURK, Guard
from unpaired.study.store import Begun, Store
from unpaired.web.pages import pages

KEPT = {"Cache-Control": "private, max-age=3600, immutable"}
"""Of pictures: preloaded once, then shown without delay."""

Key = Annotated[str, Field(max_length=64, pattern="^[^\\x00-\\x1f\\x7f\\ufffd]*$")]
"""A platform's id: nothing that can't be seen, and U+FFFD stands for what was no UTF-8."""
Position = Annotated[int, PathPart(ge=0, le=10_000)]
Milliseconds = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=0, le=100_000)]


class Answer(BaseModel, extra="forbid"):
    """What a browser reports of a trial; times in milliseconds by its own monotonic clock."""

    choice: Literal["left", "right"]
    reaction: Milliseconds
    exposures: list[Milliseconds] = Field(default=[], max_length=2)
    """How long each picture was really on the screen."""
    late: bool = False
    """Whether a frame came so late that an exposure was wrong by more than two frames."""
    unfocused: bool = False
    """Whether the page lost focus or was hidden during the trial."""
    viewport: list[Pixels] = Field(default=[], max_length=2)
    input: Literal["keyboard", "mouse", "touch"] = "keyboard"


def make_app(folder: Path) -> FastAPI:
    """The application for a study's folder.

    Raises: UserError if there is none, or its design was changed after data collection began.
    """
    store = Store(folder / "study.sqlite")
    design = read_design(folder / "study.yaml")
    frozen = store.frozen()
    if frozen is not None and frozen != design:
        raise UserError(
            f'"{folder / "study.yaml"}" was changed after data collection began; undo the change, '
            "or create another study"
        )
    app = FastAPI(title="unpaired study", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.store = store
    static = resources.files("unpaired.study") / "static"
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    page = pages("unpaired.study", design=design)

    app.add_middleware(Guard)

    @app.exception_handler(UserError)
    async def refused(request: Request, error: UserError) -> Response:
        del request
        return page("message.html.j2", 409, title="Not now", text=str(error))

    @app.exception_handler(RequestValidationError)
    async def senseless(request: Request, error: RequestValidationError) -> Response:
        """Without what was sent: it needn't be anything that can be written as JSON."""
        del request
        where = sorted({".".join(map(str, one["loc"])) for one in error.errors()})
        return JSONResponse({"error": f"not understood: {', '.join(where)[:200]}"}, 422)

    @app.get("/")
    def consent(
        prolific: Annotated[Key | None, Query(alias="PROLIFIC_PID")] = None,
        assignment: Annotated[Key | None, Query(alias="assignmentId")] = None,
        worker: Annotated[Key | None, Query(alias="workerId")] = None,
        submit: Annotated[str, Query(alias="turkSubmitTo", max_length=200)] = "",
    ) -> Response:
        if store.paused:
            return page("message.html.j2", 503, title="Paused", text="Please come back later.")
        preview = assignment == "ASSIGNMENT_ID_NOT_AVAILABLE"
        hidden = {"prolific": prolific, "assignment": assignment, "worker": worker}
        if submit in MTURK:
            hidden["submit"] = submit
        return page(
            "consent.html.j2",
            preview=preview,
            text=design.consent.format_map(_Known(minutes=design.minutes)),
            hidden={name: value for name, value in hidden.items() if value},
        )

    @app.post("/begin")
    def begin(
        agreed: Annotated[str, Form()] = "",
        accessible: Annotated[str, Form()] = "",
        screen: Annotated[str, Form(max_length=2000)] = "{}",
        prolific: Annotated[Key | None, Form()] = None,
        assignment: Annotated[Key | None, Form()] = None,
        worker: Annotated[Key | None, Form()] = None,
        submit: Annotated[str, Form(max_length=200)] = "",
    ) -> Response:
        if agreed != "yes" or assignment == "ASSIGNMENT_ID_NOT_AVAILABLE":
            return page("message.html.j2", 400, title="Not begun", text="Please agree first.")
        platform, person = "", None
        if prolific:
            platform, person = "prolific", prolific
        elif worker:
            platform, person = "mturk", worker
        told = json.dumps({"assignment": assignment, "to": submit if submit in MTURK else ""})
        key = store.begin(
            design,
            Begun(
                design.consent_version,
                accessible == "yes",
                platform,
                person,
                told if platform == "mturk" else "",
                _screen(screen),
            ),
        )
        return RedirectResponse(f"/s/{key}", 303)

    @app.get("/s/{key}")
    def session(key: str) -> Response:
        row = store.session(key)
        if row is None:
            return _gone(page)
        if row["state"] == "done":
            return RedirectResponse(f"/s/{key}/thanks", 303)
        return page("session.html.j2", key=key, accessible=bool(row["accessible"]))

    @app.get("/s/{key}/plan")
    def plan(key: str) -> Response:
        """What is left to show: never what was shown before, whether answered or not."""
        row = store.session(key)
        if row is None:
            return JSONResponse({"error": "no such session"}, 404)
        timed = design.exposure is not None and not row["accessible"]
        return JSONResponse(
            {
                "question": design.question,
                "order": design.order,
                "exposure": design.exposure if timed else None,
                "shown_for": design.shown_for if timed else None,
                "blank_before": design.blank_before,
                "blank_between": design.blank_between,
                "total": design.trials,
                "display": design.display,
                "trials": [
                    {
                        "position": t["position"],
                        "practice": t["phase"] == "practice",
                        "left": f"/i/{t['left_address']}",
                        "right": f"/i/{t['right_address']}",
                    }
                    for t in store.remaining(key)
                ],
            }
        )

    @app.get("/i/{address}")
    def picture(address: str) -> Response:
        found = store.picture_at(address)
        if found is None:
            return Response(status_code=404)
        # the file's own time and tag would be the same for one picture in two sessions
        pixels = (folder / "images" / f"{found}.png").read_bytes()
        return Response(pixels, media_type="image/png", headers=KEPT)

    @app.post("/s/{key}/trials/{position}/shown")
    def shown(key: str, position: Position) -> Response:
        if store.session(key) is None:
            return JSONResponse({"error": "no such session"}, 404)
        return JSONResponse({"first_time": store.expose(key, position)})

    @app.post("/s/{key}/trials/{position}/answer")
    def answer(key: str, position: Position, given: Answer) -> Response:
        """Acknowledged only when it is on disk; sent twice, it counts once."""
        if store.session(key) is None:
            return JSONResponse({"error": "no such session"}, 404)
        report = given.model_dump(exclude={"choice", "reaction"})
        trial = store.answer(
            key, position, given.choice, given.reaction, report, least=design.least_seconds
        )
        if trial is None:
            return JSONResponse({"error": "no such trial was shown to its end"}, 409)
        if trial["phase"] == "practice" and design.question != "better":
            return JSONResponse({"right": trial["choice"] == trial["truth"]})
        return JSONResponse({})

    @app.post("/s/{key}/finish")
    def finish(key: str) -> Response:
        if store.session(key) is None:
            return JSONResponse({"error": "no such session"}, 404)
        return JSONResponse({"done": store.finish(key), "next": f"/s/{key}/thanks"})

    @app.get("/s/{key}/thanks")
    def thanks(key: str) -> Response:
        row = store.session(key)
        if row is None:
            return _gone(page)
        if row["state"] != "done":
            return RedirectResponse(f"/s/{key}", 303)
        told = json.loads(row["submit"] or "{}")
        return page(
            "thanks.html.j2",
            key=key,
            prolific=design.completion_url if row["platform"] == "prolific" else "",
            mturk=f"{told['to']}/mturk/externalSubmit" if told.get("to") else "",
            assignment=told.get("assignment"),
        )

    @app.post("/s/{key}/withdraw")
    def withdraw(key: str) -> Response:
        store.withdraw(key)
        return page("message.html.j2", 200, title="Deleted", text="Your data are deleted.")

    app.include_router(admin_pages(store, design, page))

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/health")
    def health() -> Response:
        return JSONResponse({"ok": True})

    return app


class _Known(dict[str, Any]):
    """Whatever else stands in braces in a consent text stays as it is."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def _screen(text: str) -> str:
    """What a browser says of its screen, if it is a small JSON object."""
    try:
        found = json.loads(text)
        return json.dumps(found, allow_nan=False) if isinstance(found, dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _gone(page: Callable[..., Response]) -> Response:
    return page(
        "message.html.j2",
        404,
        title="Nothing here",
        text="This session does not exist. Perhaps its data were deleted.",
    )
