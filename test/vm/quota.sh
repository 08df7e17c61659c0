#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as root: limits of volumes by project quotas, on ext4, which has the same calls as XFS.
. "$(dirname "$0")/tap.bash"

dir=$(mktemp -d /var/tmp/quota-XXXXXX)
trap 'quota system reset -f >/dev/null 2>&1; umount -l "$dir/at" 2>/dev/null; rm -rf "$dir"' EXIT
mkdir "$dir/at"
truncate -s 400M "$dir/image"
mkfs.ext4 -q -O quota,project -E quotatype=prjquota "$dir/image" || exit 1
mount -o loop,prjquota "$dir/image" "$dir/at" || exit 1
quota() { berth --root "$dir/at/root" --runroot "$dir/at/run" "$@"; }
# inside VOLUME COMMANDS: what they say where the volume is /v.
inside() { quota run --rm --network none -v "$1:/v" "$IMAGE" sh -c "$2" 2>&1; }

ok "an image" quota load -q -i /opt/berth/busybox.tar
ok "a volume of 2 MB" quota volume create -o o=size=2m two
ok "one of 4 MB and 20 inodes" quota volume create -o o=size=4m,inodes=20 few
ok "what is more than 2 MB does not fit, any number of files does" is \
    "$(inside two 'dd if=/dev/zero of=/v/big bs=64k count=64 2>/dev/null || echo full; rm /v/big; for i in $(seq 100); do echo >/v/$i || exit 1; done; echo many' | paste -sd' ')" "full many"
ok "each has its own limit; what is more than 20 inodes does not fit" is \
    "$(inside few 'dd if=/dev/zero of=/v/big bs=64k count=48 2>/dev/null && echo fits; for i in $(seq 100); do echo >/v/$i || break; done 2>/dev/null; [ $i -lt 30 ] && echo few' | paste -sd' ')" "fits few"
quota volume create -o o=size=1m etc >/dev/null
ok "a volume that takes the image's files has its limit, too" is \
    "$(quota run --rm --network none -v etc:/etc "$IMAGE" sh -c 'test -s /etc/passwd && dd if=/dev/zero of=/etc/big bs=64k count=32 2>/dev/null || echo full')" full
ok "they are removed" quota volume rm two few etc
ok "nothing is left" quota system check
the_end
