add_user
new_release
if under_systemd; then
    systemctl --system daemon-reload >/dev/null || true
    # shellcheck disable=SC2046  # a list of words
    systemctl try-restart $(services) || complain
fi
drop_old_releases
