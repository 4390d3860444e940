"""Shell completions: click's own scripts for bash, zsh and fish, which ask the program what fits."""

from __future__ import annotations

from typing import Final

from click.shell_completion import BashComplete, FishComplete, ZshComplete

ZSH_DEBIAN: Final = "usr/share/zsh/vendor-completions"
ZSH_RED_HAT: Final = "usr/share/zsh/site-functions"


def scripts(program: str, zsh_folder: str) -> dict[str, str]:
    """The scripts of ``program`` by the path at which each shell looks for them, without the leading slash."""
    places = {
        f"usr/share/bash-completion/completions/{program}": BashComplete,
        f"{zsh_folder}/_{program}": ZshComplete,
        f"usr/share/fish/vendor_completions.d/{program}.fish": FishComplete,
    }
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    made = {}
    for place, shell in places.items():
        completion = shell(None, {}, program, variable)  # type: ignore[arg-type]  # the script needs no command
        # What click's `source()` does, without asking the shells of this machine for their versions.
        text = (completion.source_template % completion.source_vars()).lstrip("\n")
        # For fish: what a command does may have commas, and was cut there.
        made[place] = text.replace('string split "," ', 'string split --max 1 "," ')
    return made
