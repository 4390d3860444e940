if [ "$1" = remove ] && under_systemd; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
    drop_all_releases
    # What enabled them, and nothing that is called alike.
    for unit in @UNITS@; do
        find /etc/systemd/system -path '*.wants/*' -type l -lname "*/lib/systemd/system/$unit" 2>/dev/null |
            while read -r link; do
                rm -f "$link"
                rmdir --ignore-fail-on-non-empty "${link%/*}"
            done
    done
    for place in "/etc/$name" "/var/lib/$name" "/var/cache/$name" "/var/log/$name" "/run/$name"; do
        if [ -L "$place" ]; then
            echo "$name: $place leads to $(readlink "$place"), which is not removed: do it yourself." >&2
        fi
        rm -rf "$place" || echo "$name: $place is not removed whole: is something mounted there?" >&2
    done
    # A user that somebody made, with a number of people's, is not ours.
    if [ "$(getent passwd "$name" | cut -d : -f 3)" -lt 1000 ] 2>/dev/null && command -v userdel >/dev/null; then
        userdel "$name" || true
    fi
    if [ "$(getent group "$name" | cut -d : -f 3)" -lt 1000 ] 2>/dev/null && command -v groupdel >/dev/null; then
        groupdel "$name" || true
    fi
fi
