"""The experimenter's page: how far a study is, a pause, and its answers to take away."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from unpaired.study.design import Design
from unpaired.study.progress import progress
from unpaired.study.records import as_csv, records
from unpaired.study.store import Store


def admin_pages(store: Store, design: Design, page: Callable[..., Response]) -> APIRouter:
    """Below /admin/TOKEN, where TOKEN is the study's own; under any other there is nothing.

    Args: page: makes a page of a template and its values.
    """
    own = (store.value("admin") or secrets.token_urlsafe(24)).encode()
    router = APIRouter(prefix="/admin/{token}")

    def knows(token: str) -> bool:
        return secrets.compare_digest(token.encode(errors="replace"), own)

    @router.get("")
    def overview(token: str) -> Response:
        if not knows(token):
            return Response(status_code=404)
        return page(
            "admin.html.j2",
            token=token,
            paused=store.paused,
            withdrawn=store.value("withdrawn") or "0",
            **progress(store, design),
        )

    @router.post("/pause")
    def pause(token: str, paused: Annotated[str, Form()] = "yes") -> Response:
        if not knows(token):
            return Response(status_code=404)
        store.set_value("paused", "yes" if paused == "yes" else "no")
        return RedirectResponse(f"/admin/{token}", 303)

    @router.get("/export.{kind}")
    def export(token: str, kind: Literal["csv", "json"]) -> Response:
        if not knows(token):
            return Response(status_code=404)
        lines = records(store, design)
        name = time.strftime("answers-%Y%m%d-%H%M%S")
        text, media = (
            (as_csv(lines), "text/csv") if kind == "csv" else (json.dumps(lines), "text/json")
        )
        headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
        return Response(text, media_type=media, headers=headers)

    return router
