"""The one place that puts the parts together."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from quart import Quart

from webapp.box_office import BoxOffice
from webapp.demo import run_demo
from webapp.enquiries import Enquiries
from webapp.forgetting import forget_forever, sweep
from webapp.log import Log
from webapp.metrics import Metrics
from webapp.paths import SCHEMA
from webapp.retention import Retention
from webapp.settings import Settings
from webapp.storage.lock import DatabaseLock
from webapp.storage.migrator import load_migrations, migrate
from webapp.storage.sqlite import SqliteStore
from webapp.web import api, guard, organiser, problems
from webapp.web.assets import assets
from webapp.web.auth import Gatekeeper
from webapp.web.contract import contract
from webapp.web.direct_lane import DirectLane
from webapp.web.event_calendar import event_calendar
from webapp.web.event_list import event_list
from webapp.web.event_page import event_page
from webapp.web.health import health
from webapp.web.lean import LeanQuart
from webapp.web.ledger_page import ledger_page
from webapp.web.limiter import SenderLimit
from webapp.web.live import live
from webapp.web.metrics import metrics as metrics_front
from webapp.web.order_page import order_page
from webapp.web.parsing import BODY_BYTES_MAX
from webapp.web.parts import NAME, Parts
from webapp.web.private_files import private_folder
from webapp.web.reference import reference

log = logging.getLogger(__name__)

BODY_TIMEOUT_S = 8


@dataclass(frozen=True, slots=True)
class Running:
    """A server's application with everything behind it open; the password if one was generated just now.

    There is no `lane` around the application where it is switched off.
    """

    app: Quart
    lane: DirectLane | None
    box_office: BoxOffice
    generated_password: str | None


@asynccontextmanager
async def running(settings: Settings, requests: Log, on_fatal: Callable[[], None]) -> AsyncIterator[Running]:
    """Everything from the data folder to the pages, opened in order and closed in the opposite one.

    Every request is noted in `requests`. `on_fatal` is called when the process must end because what is stored can no
    longer be known.

    Raises DatabaseLocked, MigrationRefused, LedgerDamaged, StoreUnreadable, SecretUnusable,
    PasswordUnusable, OSError.
    """
    async with AsyncExitStack() as opened:
        data_dir, database = opened.enter_context(_home(settings))
        opened.enter_context(DatabaseLock(database))
        migrated = await asyncio.to_thread(migrate, database, load_migrations(SCHEMA / "sqlite"))
        for migration in migrated.applied:
            log.info("migrated the database: %s", migration.name)
        store = await SqliteStore.open(database)
        opened.push_async_callback(store.close)
        metrics = Metrics()
        box_office = BoxOffice(
            store,
            on_fatal=on_fatal,
            on_commit=metrics.note_commit,
            pending_max=settings.pending_max,
            desk_idle_s=settings.desk_idle_s,
        )
        opened.push_async_callback(box_office.stop)
        await box_office.start()
        await sweep(store)
        await opened.enter_async_context(_in_background(forget_forever(store), "forgetting"))
        # Last of what may fail, or a password would be generated that nobody gets to see.
        gatekeeper, generated_password = Gatekeeper.open(settings, data_dir)
        opened.callback(gatekeeper.close)
        if settings.app_env == "demo":
            await opened.enter_async_context(_in_background(run_demo(box_office), "demo"))
        enquiries = Enquiries(store, box_office)
        if settings.erase_after_days:
            retention = Retention(box_office, enquiries, settings.erase_after_days)
            await opened.enter_async_context(_in_background(retention.keep(), "retention"))
        booking_limit = SenderLimit(settings.bookings_per_minute)
        parts = Parts(settings, box_office, enquiries, gatekeeper, metrics, booking_limit)
        app = create_app(parts, requests)
        await opened.enter_async_context(_in_background(metrics.watch_loop(), "watch over the loop"))
        lane = DirectLane(parts, cast(guard.Guard, app.asgi_app)) if settings.direct_lane else None
        yield Running(app, lane, box_office, generated_password)


def create_app(parts: Parts, requests: Log) -> Quart:
    """The fronts over the parts, behind the guard."""
    app = LeanQuart(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.config["BODY_TIMEOUT"] = BODY_TIMEOUT_S
    app.url_map.merge_slashes = False  # an event's id may hold two slashes in a row
    app.extensions[NAME] = parts
    pages = (event_list, event_page, event_calendar, order_page, ledger_page, live, *organiser.fronts)
    for front in (assets, contract, health, *pages, metrics_front, *api.fronts, reference):
        app.register_blueprint(front)
    app.before_request(guard.look_before_routing)
    problems.register(app)
    app.asgi_app = guard.Guard(app.asgi_app, requests, parts.metrics, is_https=parts.settings.is_https)  # type: ignore[method-assign]  # how Quart is wrapped, says its documentation
    return app


@contextmanager
def _home(settings: Settings) -> Iterator[tuple[Path, Path]]:
    """The data folder and the database; private, and gone afterwards, in the modes `demo` and `test`."""
    if settings.data_dir is None or settings.database is None:
        with tempfile.TemporaryDirectory(prefix="fairlist-") as folder:
            yield Path(folder), Path(folder) / "fairlist.db"
    else:
        private_folder(settings.data_dir)
        private_folder(settings.database.parent)
        yield settings.data_dir, settings.database


@asynccontextmanager
async def _in_background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_if_it_died)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _tell_if_it_died(task: asyncio.Task[None]) -> None:
    """No booking depends on what is done in the background, so that the server goes on."""
    if not task.cancelled() and (bug := task.exception()):
        log.critical("the %s died, and comes back at the next start only", task.get_name(), exc_info=bug)
