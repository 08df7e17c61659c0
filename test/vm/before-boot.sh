#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester: containers with restart policies, left for after-boot.sh. berth-boot.service starts them.
. "$(dirname "$0")/tap.bash"
mkdir -p ~/.config/systemd/user
sed 's,/usr/local/bin/berth,/opt/berth/bin/berth,' /opt/berth/boot/berth-boot.service >~/.config/systemd/user/berth-boot.service
ok "the unit is enabled" systemctl --user enable -q berth-boot
berth image exists "$IMAGE" || berth load -q -i /opt/berth/busybox.tar || exit 1
up() { berth run -d --name "$1" --restart "$2" "$IMAGE" sleep 3600; }
ok "always" up always always
ok "unless-stopped" up unless unless-stopped
ok "unless-stopped, and stopped" up stopped unless-stopped
ok "stop" berth stop -t 0 stopped
ok "on-failure" up failure on-failure
ok "no policy" up none no
ok "one that shares another's network" berth run -d --name shares --restart always --network container:always "$IMAGE" sleep 3600
sync
the_end
