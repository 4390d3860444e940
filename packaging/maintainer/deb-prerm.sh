case "$1" in
    remove)
        if under_systemd; then
            # shellcheck disable=SC2046  # a list of words
            deb-systemd-invoke stop @SOCKETS@ $(services) >/dev/null || true
        fi
        drop_all_releases
        ;;
esac
