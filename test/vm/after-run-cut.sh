#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester, after a power cut in the middle of runs: the arguments are the names
# of the containers that had been acknowledged.
. "$(dirname "$0")/tap.bash"
trap 'berth rm -fa -t 0 >/dev/null' EXIT
all=$(berth ps -a --format '{{.Names}}')
ok "ps works" test -n "$all"
for name; do
    ok "acknowledged container $name is there" grep -qx "$name" <<<"$all"
done
ok "ps lists no container as running" is "$(berth ps -q)" ""
ok "system check finds nothing, or repairs it" clean_or_repaired
for name; do
    ok "acknowledged container $name starts" berth start "$name"
done
ok "a new container runs" berth run --rm "$IMAGE" true
the_end
