"""``prestashop-agent enroll``: from an access token to a service that runs."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import FILE, config_file, config_option
from agent.cli.store_options import instance_option, store_options, wish_of

if TYPE_CHECKING:
    from agent.cli.enroll_questions import Questions
    from agent.cli.said import Said
    from agent.doctor.examination import Examination
    from agent.enrolment.settings_change import SettingsNow


@click.command(
    epilog="""\b
Examples:
  sudo prestashop-agent enroll                    asks for the token, then for the shop
  sudo prestashop-agent enroll --store https://shop.example.com/
  sudo prestashop-agent enroll --token-file /root/token --store https://shop.example.com/ --write --yes --json
  some-vault read token | sudo prestashop-agent enroll --token-stdin --store shop.example.com --yes

The token is never given on the command line, where others could read it. As root the files are those of the service,
in /etc/prestashop-agent; without root they are this user's own. A second run with the same values changes nothing.

\b
Exit codes:
  0   enrolled, or nothing to change
  1   written, but the test or the service failed; or a question was answered with no
  78  token or settings cannot be used: nothing was written
"""
)
@click.option(
    "--token-file", type=FILE, metavar="FILE", help="Read the token from this file, which nobody else may read."
)
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input (also when that is no terminal).")
@click.option("--store", "urls", multiple=True, metavar="URL", help="Open this store; repeat it for more.")
@store_options
@config_option
@instance_option
@click.option("-y", "--yes", "--non-interactive", is_flag=True, help="Ask nothing: replace, enable, start.")
@click.option("--enable/--no-enable", default=None, help="Start the service, now and with the machine, or do not.")
@click.option("--no-test", is_flag=True, help="Do not test the way to the server and to the stores.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.pass_context
def enroll(
    context: click.Context,
    /,
    token_file: Path | None,
    token_stdin: bool,
    urls: tuple[str, ...],
    config: Path | None,
    instance: str | None,
    yes: bool,
    enable: bool | None,
    no_test: bool,
    as_json: bool,
    **of_store: Any,  # noqa: ANN401 - the options of a store
) -> int:
    """Install this agent: keep its access token, open stores, test, start the service."""
    from agent.cli.enroll_questions import Questions
    from agent.cli.said import Said
    from agent.enrolment.places import AgentPlaces
    from agent.enrolment.service import Service

    if token_file is not None and token_stdin:
        raise click.UsageError("--token-file and --token-stdin exclude each other.")
    said = Said(as_json=as_json)
    questions = Questions(yes=yes)
    with said.errors_told():
        places = AgentPlaces.of(instance, config_file(context, config), dict(os.environ), is_root=os.geteuid() == 0)
        now, done = _write(places, questions, said, token_file, token_stdin, urls, of_store)
        examination = None if no_test else _test(now, said)
        if examination is not None:
            done["test"] = examination.to_json()
        is_well = examination is None or not examination.failed
        service = Service.find(places.unit, places.environ)
        wants = enable
        if wants is None and service is not None and not (service.is_running() and service.is_enabled()):
            wants = questions.enable(places.unit, is_well=is_well)
        done["service"] = _serve(service, now, said, done, wants=bool(wants), is_asked=enable is True)
    done["changed"] = any(done[name] not in _UNCHANGED for name in ("token", "settings", "service"))
    if not is_well:
        said.say("Result", "Written, but the test failed: see above. prestashop-agent doctor looks again.")
    elif not done["changed"]:
        said.say("Result", "Nothing had to be changed.")
    else:
        said.say("Result", "Enrolled.")
    said.end({"ok": is_well, **done})
    return 0 if is_well else 1


_UNCHANGED = ("unchanged", "running", "not_enabled", "none")


def _write(
    places: Any,  # noqa: ANN401 - imported late
    questions: Questions,
    said: Said,
    token_file: Path | None,
    token_stdin: bool,
    urls: tuple[str, ...],
    of_store: dict[str, Any],
) -> tuple[SettingsNow, dict[str, Any]]:
    """Everything is read and judged before the first file is written."""
    from agent.enrolment.settings_change import SettingsNow
    from agent.enrolment.store_lines import plan_json, plan_lines
    from agent.enrolment.token_place import TokenPlace

    now = SettingsNow.read(places)
    described = wish_of("", of_store)
    there = TokenPlace.look(now.locations.token_file)
    token = questions.token(there, token_file, from_stdin=token_stdin)
    is_new_token = token != there.before
    if is_new_token and there.is_taken:
        questions.may_replace(there, token)
    wishes = [wish_of(url, of_store) for url in urls]
    if not wishes and not now.openings:
        wishes = questions.stores(described)
    if not wishes and described.said():
        raise click.UsageError("What is said of a store needs its address: add --store URL.")
    plans = asyncio.run(now.plans(wishes))
    is_new_file = now.file.content is None
    changed = now.replace(now.edited(plans))
    if is_new_token:
        there.write(token)
    token_result = ("replaced" if there.is_taken else "written") if is_new_token else "unchanged"
    settings_result = ("created" if is_new_file else "changed") if changed else "unchanged"
    said.say("Agent", f"{token.agent_id}, of {', '.join(token.servers)}")
    said.say("Access token", f"{there.path}: {token_result}")
    said.say("Settings", f"{now.file.path}: {settings_result}")
    for plan in plans:
        said.say_all(plan_lines(plan))
    if not plans and not now.openings:
        said.say("Stores", "None is open, so that nothing can be reached. To open one:")
        said.say("", "prestashop-agent stores add URL")
    done = {
        "agent_id": token.agent_id,
        "servers": list(token.servers),
        "token_file": str(there.path),
        "token": token_result,
        "settings_file": str(now.file.path),
        "settings": settings_result,
        "stores": [plan_json(plan) for plan in plans],
    }
    return now, done


def _test(now: SettingsNow, said: Said) -> Examination:
    from agent.cli.doctor_page import DoctorPage
    from agent.doctor.finding import Finding
    from agent.enrolment.examining import examine_enrolled

    page = DoctorPage(min(shutil.get_terminal_size().columns, 120))

    def tell(finding: Finding) -> None:
        for line in page.lines(finding):
            said.line(line)

    said.line("")
    found = asyncio.run(examine_enrolled(now.file.path, now.of.environ, is_root=now.of.is_root, on_finding=tell))
    said.line("")
    return found


def _serve(
    service: Any,  # noqa: ANN401 - imported late
    now: SettingsNow,
    said: Said,
    done: dict[str, Any],
    *,
    wants: bool,
    is_asked: bool,
) -> str:
    """Bring the service to where it belongs; what was done, in a word."""
    from agent.cli.settings_reload import tell_agent
    from agent.errors import StartError
    from agent.examination.machine import lock_holder

    if service is None:
        if is_asked:
            raise StartError(
                "Everything is written, but there is no service to enable: no systemd, no such unit, or no root. "
                f"Start the agent with {_run_command(now)}."
            )
        holder = lock_holder(now.locations.state_dir)
        if holder is None:
            said.say("To start it", _run_command(now))
            return "none"
        tell_agent(now, said, asked=done["settings"] == "changed")
        if done["token"] != "unchanged":  # noqa: S105 - a result
            said.say("Agent", f"It runs as process {holder}, with the token from before: end it, and start it anew.")
        return "none"
    is_running = service.is_running()
    if is_running and done["token"] != "unchanged":  # noqa: S105 - a result
        service.restart()  # lets what runs finish; a token is read at the start only
    elif is_running and done["settings"] != "unchanged":
        tell_agent(now, said, asked=True)
    if wants and not (is_running and service.is_enabled()):
        service.enable()
        said.say("Service", f"{service.unit} is started, now and with this machine.")
        return "enabled"
    if is_running:
        restarted = done["token"] != "unchanged"  # noqa: S105 - a result
        said.say("Service", f"{service.unit} is {'restarted with the new token' if restarted else 'running'}.")
        return "restarted" if restarted else "running"
    said.say("To start it", f"sudo systemctl enable --now {service.unit}")
    return "not_enabled"


def _run_command(now: SettingsNow) -> str:
    """What starts this agent by hand."""
    words = ["prestashop-agent", "run"]
    if now.of.config is not None or now.of.instance is not None:
        words += ["--config", str(now.file.path)]
    if now.of.instance is not None:
        words += ["--token-file", str(now.locations.token_file), "--state-dir", str(now.locations.state_dir)]
    return shlex.join(words)
