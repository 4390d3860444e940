"""One store of the policy, down to its webservice, with a key that does not exist."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from agent.checkup.run import run_checkup
from agent.doctor.causes import STORE_LAYERS, not_looked_at
from agent.doctor.finding import Finding, OwnLayer, Subject
from agent.doctor.report import Layer, Step, StepState
from agent.errors import SettingsError
from agent.examination.notes import Notes, Tell
from agent.examination.server import CLOCK_OFF_S, look_at_clock
from agent.opening import Opening
from agent.probe import probe_opening
from agent.settings import TimeoutSettings

NO_KEY = "Not looked at: the server has it, and tests it (connections test)."


async def examine_store(
    opening: Opening, timeouts: TimeoutSettings, tell: Tell, now: Callable[[], float] = time.time
) -> bool:
    """Look at the store of ``opening``; False when its settings cannot be used. Everything else is told."""
    name = opening.store.webservice_url
    try:
        decided, _ = await probe_opening(opening, timeouts)
        plan = replace(decided.check_plan(timeouts), answer_timeout_s=min(15.0, timeouts.store_first_byte_s))
    except SettingsError as error:
        notes = Notes(Subject.STORE, name, tell)
        notes.failed(
            OwnLayer.SETTINGS,
            "store_settings_unusable",
            str(error),
            "Correct it in the [[stores]] table of this store; the agent does not start like this.",
        )
        _hide(name, OwnLayer.SETTINGS, STORE_LAYERS, tell)
        return False
    name = decided.store.webservice_url
    notes = Notes(Subject.STORE, name, tell)
    if not decided.certain:
        notes.warning(
            OwnLayer.SETTINGS,
            "address_ambiguous",
            "The address in the settings can be read in several ways, and the webservice answers at none, or several.",
            f'Write the one that is meant with /api/ at its end, such as url = "{name}".',
        )
    if decided.store.scheme == "http":  # of https the TLS layer tells
        for warning in decided.warnings():
            notes.warning(OwnLayer.SETTINGS, "setting_without_effect", warning, "Remove it from the settings.")
    report = await run_checkup(plan, lambda step: _tell_step(name, step, tell))
    last = report.steps[-1]
    if last.state is StepState.FAILED:
        _hide(name, last.layer, STORE_LAYERS[STORE_LAYERS.index(last.layer) + 1 :], tell)
    there = next((step.facts["unix_time_s"] for step in report.steps if "unix_time_s" in step.facts), None)
    if isinstance(there, float) and abs(now() - there) >= CLOCK_OFF_S:
        notes.begin()
        look_at_clock(there, "the store's web server", now(), notes)
    return True


def _tell_step(name: str, step: Step, tell: Tell) -> None:
    if step.layer is Layer.PERMISSIONS:
        return
    if step.layer is Layer.KEY:
        step = replace(step, finding=NO_KEY)
    tell(Finding.of_step(name, step))


def _hide(name: str, cause: str, hides: tuple[Layer, ...], tell: Tell) -> None:
    rest = not_looked_at(Subject.STORE, name, cause, hides)
    if rest is not None:
        tell(rest)
