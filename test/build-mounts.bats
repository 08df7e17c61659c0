#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# What a mount of RUN leaves of the directories above its mount point.
load helpers

@test "RUN with a mount leaves owner and mode of the mount point's parents alone, in layers, without, and squashed" {
    mkdir "$FILE_DIR/$name"
    # the parents belong to others, and to the base image as well
    cat >"$FILE_DIR/$name/Containerfile" <<C
FROM $IMAGE AS base
RUN mkdir -p /own/user/dir /own/user/sub && chown -R 1000:2000 /own/user && chmod 750 /own/user && chmod 2770 /own/user/sub && chown 3:4 /own && chmod 711 /own
FROM base
USER 1000:2000
WORKDIR /own/user
RUN --mount=type=cache,target=.cache touch dir
RUN --mount=type=tmpfs,target=/own/user/sub/a/b touch /own/user/sub
RUN --mount=type=bind,source=.,target=/own/user/dir/c touch dir/x
RUN --mount=type=cache,target=/own/user/sub/d/e echo y >/own/user/sub/y && rm dir/x
RUN --mount=type=cache,target=/own/user/none true
C
    for options in "" --layers=false --squash; do
        # shellcheck disable=SC2086
        berth build -q --no-cache $options -t "localhost/$name" "$FILE_DIR/$name"
        berth run --rm "localhost/$name" sh -c 'stat -c "%n %u:%g %a" /own /own/user /own/user/dir /own/user/sub; find /own/user | sort'
        assert_equal "$options: ${lines[*]}" "$options: /own 3:4 711 /own/user 1000:2000 750 /own/user/dir 1000:2000 755 /own/user/sub 1000:2000 2770 \
/own/user /own/user/dir /own/user/sub /own/user/sub/y"
        berth rmi "localhost/$name"
    done
}
