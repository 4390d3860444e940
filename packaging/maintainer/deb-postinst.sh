case "$1" in
    configure)
        add_user
        new_release
        if under_systemd; then
            systemctl --system daemon-reload >/dev/null || true
            # Only what runs: the agent starts when it has a token, the server when somebody says so. A service that is
            # restarted drains first, which can take a minute.
            # shellcheck disable=SC2046  # a list of words
            deb-systemd-invoke try-restart $(services) >/dev/null || complain
        fi
        drop_old_releases
        ;;
    abort-upgrade | abort-remove | abort-deconfigure)
        [ -e "$home/current" ] || new_release
        ;;
esac
