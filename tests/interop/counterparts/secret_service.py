"""Runs gnome-keyring's Secret Service on the session bus at hand, unlocked, until standard input ends.

Started under ``dbus-run-session`` with the password as argument. Says READY, the bus's address and the daemon's pid.
"""

from __future__ import annotations

import os
import subprocess
import sys

from jeepney import MatchRule, message_bus
from jeepney.io.blocking import Proxy, open_dbus_connection

NAME = "org.freedesktop.secrets"


def main() -> int:
    """Start the daemon, wait until its name is on the bus, and stay."""
    bus = open_dbus_connection()
    proxy = Proxy(message_bus, bus, timeout=10)
    rule = MatchRule(
        type="signal",
        sender="org.freedesktop.DBus",
        interface="org.freedesktop.DBus",
        member="NameOwnerChanged",
        path="/org/freedesktop/DBus",
    )
    rule.add_arg_condition(0, NAME)
    proxy.AddMatch(rule)
    with bus.filter(rule) as changes:
        daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert daemon.stdin is not None
        daemon.stdin.write(sys.argv[1].encode())
        daemon.stdin.close()
        if not proxy.NameHasOwner(NAME)[0]:
            bus.recv_until_filtered(changes, timeout=20)
    sys.stdout.write(f"READY {os.environ['DBUS_SESSION_BUS_ADDRESS']} {daemon.pid}\n")
    sys.stdout.flush()
    try:
        sys.stdin.read()
    finally:
        daemon.kill()
        daemon.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
