#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester, after a power cut in the middle of a pull of $1, which holds
# /data with the SHA-256 $2.
. "$(dirname "$0")/tap.bash"
ok "ps works" berth ps -a
ok "images works" berth images
ok "system check finds nothing, or repairs it" clean_or_repaired
ok "the image is whole, or not there" eval '! berth image exists "$1" || berth run --rm "$1" sha256sum -c /data.sum'
ok "pull again" berth pull -q "$1"
ok "what was pulled is whole" is "$(berth run --rm --network none "$1" sha256sum /data)" "$2  /data"
ok "system check finds nothing now" berth system check
berth rmi -f "$1" >/dev/null
the_end
