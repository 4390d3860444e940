if under_systemd; then
    systemctl --system daemon-reload >/dev/null || true
fi
