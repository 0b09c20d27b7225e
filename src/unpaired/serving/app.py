"""The web application: the page, the interface for programs, health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

from unpaired import __version__
from unpaired.serving.interface import (
    ABOUT,
    BINARY,
    PICTURE,
    REFUSALS,
    Health,
    Models,
    served_as,
)
from unpaired.serving.jobs import FORMATS, Answer, Asked, Job, Model
from unpaired.serving.metrics import MEDIA, Metrics
from unpaired.serving.pool import Pool
from unpaired.serving.refusing import Doorkeeper, Refused
from unpaired.serving.settings import Settings
from unpaired.serving.uploads import Queue, check_length, drain, read, size_of
from unpaired.web.listening import OWN
from unpaired.web.pages import pages

GONE = 499
"""Status under which a client that went away is counted, as nginx does."""


def make_app(settings: Settings, pool: Pool, token: str | None) -> FastAPI:
    """The application; `pool` has been started."""
    metrics, queue = Metrics(), Queue(settings.queue)
    metrics.queue.set_function(lambda: queue.taken)
    metrics.workers.set_function(lambda: len(pool.ready))
    pool.on_death = metrics.deaths.inc

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        async with pool.watched():
            yield

    app = FastAPI(
        title="unpaired",
        version=__version__,
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,  # its scripts would come from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it would lead to whatever the request calls its host
    )
    private = settings.host in OWN and token is None
    app.add_middleware(Doorkeeper, token=token, names=OWN if private else ())
    static = resources.files("unpaired.serving") / "static"
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    page = pages("unpaired.serving", token=token is not None)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        del request
        return JSONResponse({"error": error.why}, error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def senseless(request: Request, error: RequestValidationError) -> Response:
        del request
        where = sorted({str(one["loc"][-1]) for one in error.errors()})
        return JSONResponse({"error": f"Not understood: {', '.join(where)[:200]}."}, 422)

    @app.exception_handler(HTTPException)
    async def nowhere(request: Request, error: HTTPException) -> Response:
        """What the router refuses: addresses and methods that aren't there."""
        del request
        return JSONResponse({"error": f"{error.detail}."}, error.status_code, error.headers)

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return page("page.html.j2")

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/health/live", response_model=Health, responses={503: {"model": Health}})
    async def live() -> Response:
        """Whether the server is worth keeping: 200 until it is about to end."""
        return health(pool.fatal is None)

    @app.get("/health/ready", response_model=Health, responses={503: {"model": Health}})
    async def ready() -> Response:
        """Whether pictures may be sent: 503 while no worker has loaded the runs."""
        return health(pool.is_ready)

    def health(good: bool) -> Response:
        told = Health(
            live=pool.fatal is None,
            ready=pool.is_ready,
            workers=len(pool.ready),
            queue=queue.taken,
        )
        return JSONResponse(told.model_dump(), 200 if good else 503)

    @app.get("/metrics", response_class=Response, responses={401: REFUSALS[401]})
    async def counted() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type=MEDIA)

    @app.get("/v1/models", responses={401: REFUSALS[401], 503: REFUSALS[503]})
    async def models() -> Models:
        """What is served, and the bounds of it."""
        served = [served_as(model) for model in loaded(pool).values()]
        return Models(
            models=served,
            formats=list(FORMATS),
            max_pixels=settings.max_pixels,
            max_bytes=settings.max_bytes,
            timeout=settings.timeout,
        )

    @app.post(
        "/v1/translate",
        response_class=Response,
        responses={**PICTURE, **REFUSALS},
        openapi_extra={"requestBody": {"required": True, "content": {"image/*": BINARY}}},
    )
    async def translate(
        request: Request,
        model: Annotated[str | None, Query(description="Default: the first.")] = None,
        direction: Annotated[str | None, Query(description="Default: the model's first.")] = None,
        format: Annotated[
            Asked | None, Query(description="Default: png, or tiff where png can't hold it.")
        ] = None,
    ) -> Response:
        """Translate one picture: the file is the request's body, whatever its Content-Type."""
        began, known, way = time.monotonic(), "", ""
        status = 500
        try:
            found, way = _chosen(loaded(pool), model, direction)
            known = found.name
            check_length(request, settings.max_bytes)
            with queue.place(pool.seconds, settings.workers):
                content = await read(request, settings.max_bytes)
                size = await size_of(content, settings.max_pixels)
                chosen = FORMATS[format] if format else None
                deadline = time.monotonic() + settings.timeout
                job = Job(known, way, chosen, content, size, deadline)
                answer = await _while_there(request, pool.translate(job))
            if answer.batch:
                metrics.batch.observe(answer.batch)
            if not answer.ok:
                raise Refused(answer.status, str(answer.content))
            status = 200
            metrics.pixels.labels(known, way).inc(size[0] * size[1])
            metrics.seconds.labels(known, way).observe(time.monotonic() - began)
            return Response(answer.content, media_type=answer.media)
        except Refused as error:
            status = error.status
            await drain(request, settings.max_bytes)
            raise
        except ClientDisconnect:
            status = GONE
            return Response(status_code=GONE)
        finally:
            metrics.requests.labels(known, way, status).inc()

    return app


def loaded(pool: Pool) -> dict[str, Model]:
    """What is served. Raises: Refused: nothing yet."""
    if not pool.models:
        raise Refused(
            503, "The models are being loaded. Please try again soon.", {"Retry-After": "2"}
        )
    return pool.models


def _chosen(models: dict[str, Model], name: str | None, way: str | None) -> tuple[Model, str]:
    """Raises: Refused for what isn't there."""
    model = models.get(name) if name else next(iter(models.values()))
    if model is None:
        raise Refused(404, f"There is no such model; there are: {', '.join(models)}.")
    if way is not None and way not in model.directions:
        raise Refused(
            422, f"{model.name} translates {' and '.join(model.directions)}, not otherwise."
        )
    return model, way or model.directions[0]


async def _while_there(request: Request, work: Any) -> Answer:
    """The answer, unless the client goes away first. Raises: ClientDisconnect."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            continue

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        answer: Answer = working.result()
        return answer
    finally:
        working.cancel()
        leaving.cancel()
