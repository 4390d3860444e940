if [ "$1" = 0 ]; then
    if under_systemd; then
        # shellcheck disable=SC2046  # a list of words
        systemctl --now disable @SOCKETS@ $(services) >/dev/null 2>&1 || true
    fi
    drop_all_releases
fi
