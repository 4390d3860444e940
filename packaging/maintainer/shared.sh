#!/bin/sh
# Each script may be run again after it was cut off anywhere, and then does the rest.
set -e

name=@NAME@
home=/usr/lib/$name

under_systemd() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null
}

# The services that are there now; those of a template too.
services() {
    echo "@SERVICES@"
    systemctl list-units --plain --no-legend --all "$name@*.service" | cut -d ' ' -f 1
}

add_user() {
    if [ -e "/usr/lib/sysusers.d/$name.conf" ] && command -v systemd-sysusers >/dev/null; then
        systemd-sysusers "$name.conf"
        return
    fi
    getent group "$name" >/dev/null || groupadd --system "$name"
    getent passwd "$name" >/dev/null || useradd --system --gid "$name" --no-create-home --home-dir "/var/lib/$name" \
        --shell /usr/sbin/nologin "$name"
}

# What runs is not the folder that the package owns, but a copy of it by hard links: an upgrade takes the old files away
# some time before the restart, and until then, and while it drains, the old process must find what it has not imported
# yet, and in its own version. The copy is compiled, so that every start is quick and the package's own folder stays as is.
new_release() {
    mkdir -p "$home/releases"
    release=$(mktemp -d "$home/releases/XXXXXXXX")
    cp -a --link "$home/@PACKAGED@/." "$release" 2>/dev/null ||
        cp -a --remove-destination "$home/@PACKAGED@/." "$release"
    chmod 755 "$release"
    # Without it everything works, too, and starts more slowly. Pygments is for rich, which needs little of it.
    @PYTHON@ -IS -m compileall -q -j 0 -x '/pygments/(lexers|styles|formatters)/' "$release" >/dev/null 2>&1 || true
    ln -sfn "$release" "$home/current.new"
    mv -T "$home/current.new" "$home/current"
}

# Not those in which something still runs, which was started by hand or has not ended: the next upgrade finds them again.
drop_old_releases() {
    for release in "$home"/releases/*; do
        if [ "$release" != "$(readlink "$home/current")" ] && ! grep -qsF "$release/" /proc/[0-9]*/maps; then
            rm -rf "$release"
        fi
    done
}

drop_all_releases() {
    rm -rf "$home/releases" "$home/current" "$home/current.new"
    rmdir "$home" 2>/dev/null || true
}

complain() {
    echo "$name: not all services of it run again: systemctl status '$name*' says why." >&2
}

