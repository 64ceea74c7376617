"""`ray start` whose nodes take the loopback address for their machine's own, several of them on one machine.

Ray's switch for that (RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0) forbids a second node.
"""

from __future__ import annotations

from ray._private import services
from ray.scripts.scripts import main

services.node_ip_address_from_perspective = lambda *_: "127.0.0.1"

if __name__ == "__main__":
    main()
