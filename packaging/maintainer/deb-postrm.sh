if [ "$1" = remove ] && under_systemd; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
    drop_all_releases
    # What enabled them.
    find /etc/systemd/system -path '*.wants/*' -type l -lname "*/systemd/system/$name*" 2>/dev/null | while read -r link; do
        rm -f "$link"
        rmdir --ignore-fail-on-non-empty "${link%/*}"
    done
    rm -rf "/etc/$name" "/var/lib/$name" "/var/cache/$name" "/var/log/$name" "/run/$name"
    if getent passwd "$name" >/dev/null && command -v userdel >/dev/null; then
        userdel "$name" || true
    fi
    if getent group "$name" >/dev/null && command -v groupdel >/dev/null; then
        groupdel "$name" || true
    fi
fi
